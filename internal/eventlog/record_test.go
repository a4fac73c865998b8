package eventlog

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

func FuzzRecordRoundTrip(f *testing.F) {
	f.Add("evt_1", "app", "-biz", "a+b/c=", "im_receive_msg", []byte(`{}`))
	f.Add("\r\nNats-Msg-Id: x", "a.b", "> * .", "\x00", "%0d%0a", []byte("\xff"))
	f.Add("1", "2", "3", "4", "a@b=\" %,c=2", []byte(`{}`))
	f.Add("é", "", "", "", "", []byte(nil))
	f.Fuzz(func(t *testing.T, id, app, business, conversation, event string, body []byte) {
		r := Record{
			ID: id, App: app, BusinessID: business, ChannelUID: "uid-1", Conversation: conversation, Event: event,
			ReceivedAt: time.Unix(1, 5).UTC(), Body: body, Own: len(body)%2 == 1,
			Trace: tracecontext.Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", event),
		}
		m := r.message()
		got := decodeRecord(m.Header, m.Data)
		if got.ID != id || got.App != app || got.BusinessID != business || got.Conversation != conversation || got.Event != event ||
			!got.ReceivedAt.Equal(r.ReceivedAt) || got.Own != r.Own || !bytes.Equal(got.Body, body) {
			t.Fatalf("got %+v, want %+v", got, r)
		}
		// Nothing foreign takes part in the structure of a header or a subject.
		for name, values := range m.Header {
			for _, v := range values {
				if strings.ContainsAny(v, "\r\n") {
					t.Fatalf("%s holds a line break", name)
				}
			}
		}
		if again := tracecontext.Parse(r.Trace.Parent(), r.Trace.State()); got.Trace != again || again.TraceID() == "" {
			t.Fatalf("of the trace %+v came %+v", r.Trace, got.Trace)
		}
		r.ChannelUID = ""
		for _, subject := range []string{m.Subject, r.message().Subject} {
			if strings.Count(subject, ".") != 3 || strings.ContainsAny(subject, "*> \r\n\t\x00") {
				t.Fatalf("the subject is %q", subject)
			}
		}
		if id, other := m.Header.Get(nats.MsgIdHdr), r.message().Header.Get(nats.MsgIdHdr); len(id) != 22 || id == other {
			t.Fatalf("message ids %q and %q", id, other)
		}
	})
}

func TestDigestsDoNotCollideByConcatenation(t *testing.T) {
	if digest("ab", "c") == digest("a", "bc") || digest("a") == digest("a", "") {
		t.Fatal("two lists have one digest")
	}
	if named("a.b") == named("a-b") || isToken(named("a.b")) || named("app-1") != "app-1" {
		t.Fatal("a hashed name can be mistaken for a name")
	}
}

func TestEventsOfEarlierVersionsAreRead(t *testing.T) {
	h := nats.Header{}
	for name, value := range map[string]string{
		"Id": "evt_1", "App": "acme", "Business": "-biz%2B", "Channel": "uid-1", "Conversation": "c%3D", "Event": "im_receive_msg",
		"Received": "2026-11-24T07:00:00.5Z", "Sink": "inbox", "Replay": "r1", "Own": "true",
		"Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Tracestate": "a%3D1",
	} {
		h.Set("Tiktok-Operator-"+name, value)
	}
	want := Record{
		ID: "evt_1", App: "acme", BusinessID: "-biz+", ChannelUID: "uid-1", Conversation: "c=", Event: "im_receive_msg",
		ReceivedAt: time.Date(2026, 11, 24, 7, 0, 0, 5e8, time.UTC), Sink: "inbox", Replay: "r1", Own: true,
		Trace: tracecontext.Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=1"),
	}
	if got := decodeRecord(h, nil); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}
