package cloudevent_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

func TestJSONIsTheEventInOneLine(t *testing.T) {
	e := cloudevent.Event{
		ID: "id", Source: "/source", Type: "type", Subject: "a+/=", PartitionKey: "key", Time: time.Date(2026, 8, 1, 10, 0, 0, 1000, time.UTC),
		Data: []byte("{\n \"text\": \"<b>\\n\"\n}"),
	}
	text, err := e.JSON()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"specversion":"1.0","id":"id","source":"/source","type":"type","subject":"a+/=","time":"2026-08-01T10:00:00.000001Z",` +
		`"partitionkey":"key","datacontenttype":"application/json","data":{"text":"<b>\n"}}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if _, err := (cloudevent.Event{Data: []byte("{")}).JSON(); err == nil {
		t.Error("data that are no JSON are written")
	}
}

func FuzzJSONIsOneLine(f *testing.F) {
	f.Add([]byte(`{"event":"im_receive_msg","content":"{\"text\":\"a\\r\\n\"}"}`))
	f.Add([]byte("\r\n\r\ndata: x"))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := cloudevent.Normalize(cloudevent.Input{ID: "id", Namespace: "ns", Name: "n", Body: body})
		if err != nil {
			t.Fatal(err)
		}
		text, err := e.JSON()
		if err != nil || !json.Valid(text) || bytes.ContainsAny(text, "\r\n") || strings.ContainsAny(e.Type, "\r\n") {
			t.Errorf("%q: %v", text, err)
		}
	})
}
