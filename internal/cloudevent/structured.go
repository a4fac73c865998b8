package cloudevent

import (
	"encoding/json"
	"fmt"
	"time"
)

// JSON writes the event in CloudEvents' JSON format, the structured mode: one line.
func (e Event) JSON() ([]byte, error) {
	text := struct {
		SpecVersion     string          `json:"specversion"`
		ID              string          `json:"id"`
		Source          string          `json:"source"`
		Type            string          `json:"type"`
		Subject         string          `json:"subject,omitempty"`
		Time            string          `json:"time,omitempty"`
		PartitionKey    string          `json:"partitionkey,omitempty"`
		TraceParent     string          `json:"traceparent,omitempty"`
		TraceState      string          `json:"tracestate,omitempty"`
		DataContentType string          `json:"datacontenttype"`
		Data            json.RawMessage `json:"data"`
	}{
		SpecVersion: SpecVersion, ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject, PartitionKey: e.PartitionKey,
		TraceParent: e.Trace.Parent(), TraceState: e.Trace.State(), DataContentType: ContentType, Data: e.Data,
	}
	if !e.Time.IsZero() {
		text.Time = e.Time.UTC().Format(time.RFC3339Nano)
	}
	out, err := marshal(text)
	if err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	return out, nil
}
