package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// typePrefix is what all types have in common.
const typePrefix = "io.tiktok-operator."

// example is an event that a webhook of the tests became.
type example struct {
	name  string
	event cloudevent.Event
}

// readExamples makes the events of a type from the tests' webhooks: the one named first is shown first.
func readExamples(wire string, d described, first string) ([]example, error) {
	files, err := filepath.Glob(filepath.Join(wire, strings.TrimPrefix(d.eventType, typePrefix), "*.json"))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b string) int {
		rank := func(file string) int {
			if filepath.Base(file) == first+".json" {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b))
	})
	var examples []example
	for _, file := range files {
		e, err := readExample(file, d)
		if err != nil {
			return nil, fmt.Errorf("making an example of %s: %w", file, err)
		}
		if e.event.Type != d.eventType {
			return nil, fmt.Errorf("%s becomes an event of type %s", file, e.event.Type)
		}
		examples = append(examples, e)
	}
	if len(examples) == 0 {
		return nil, fmt.Errorf("there is no webhook of type %s in %s", d.eventType, wire)
	}
	return examples, nil
}

func readExample(file string, d described) (example, error) {
	body, err := os.ReadFile(file)
	if err != nil {
		return example{}, err
	}
	body = bytes.TrimSpace(body)
	id := "chn_mXo2M0m0jYl0T2n5Cw0kWq1r"
	if d.eventType == cloudevent.TypeMessageStatus {
		id = "sts_mXo2M0m0jYl0T2n5Cw0kWq1r"
	}
	if !d.own() {
		envelope, err := tiktok.DecodeEnvelope(body)
		if err != nil {
			return example{}, err
		}
		id, _ = cloudevent.Identify(envelope, body)
	}
	event, err := cloudevent.Normalize(cloudevent.Input{
		ID: id, Namespace: "shop", Name: "main", Own: d.own(), Body: body, ReceivedAt: time.Date(2026, 8, 1, 10, 0, 1, 0, time.UTC),
	})
	return example{name: strings.TrimSuffix(filepath.Base(file), ".json"), event: event}, err
}

// data is the event's, indented; without raw if that is not wanted.
func (e example) data(raw bool) (string, error) {
	data := e.event.Data
	if !raw {
		if i := bytes.Index(data, []byte(`,"raw":`)); i >= 0 {
			data = append(slices.Clone(data[:i]), '}') // it is the last
		}
	}
	var b bytes.Buffer
	err := json.Indent(&b, data, "", "  ")
	return b.String(), err
}
