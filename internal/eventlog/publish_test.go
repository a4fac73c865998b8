package eventlog_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog/eventlogtest"
)

// What another stream took is not stored where it is looked for.
func TestAnotherStreamsAnswerIsNone(t *testing.T) {
	t.Parallel()
	url := eventlogtest.Server(t, &server.Options{}).ClientURL()
	_, js := admin(t, url)
	l := open(t, eventlog.Options{URL: url})
	if err := js.DeleteStream(t.Context(), eventsStream); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SOMEBODYS", Subjects: []string{"tiktok.events.>"}}); err != nil {
		t.Fatal(err)
	}
	_, err := l.Append(t.Context(), record("1"))
	var unavailable *eventlog.UnavailableError
	if !errors.As(err, &unavailable) || !strings.Contains(err.Error(), "SOMEBODYS") {
		t.Errorf("the error is %v", err)
	}
}

// The answers of a server, read at once or by encoding/json, say the same.
func FuzzAnswer(f *testing.F) {
	for _, answer := range []string{
		`{"stream":"TIKTOK_EVENTS", "seq":12}`, `{"stream":"TIKTOK_EVENTS", "seq":12,"duplicate": true}`,
		`{"stream":"TIKTOK_EVENTS","domain":"hub","seq":18446744073709551615}`, `{"stream":"\u0041","seq":1}`,
		`{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"TIKTOK_EVENTS","seq":0}`,
		`{"stream":"","seq":1}`, `{"seq":1}`, `{}`, ``, `[]`, `{"stream":"A","seq":-1}`, `{"stream":"A","seq":1}x`, `{"stream":"A","stream":"B","seq":1}`,
		`{"STREAM":"A","seq":1}`, `{"stream":null,"seq":1}`, "+OK",
	} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		fast, fastErr := eventlog.DecodeAck(answer)
		slow, slowErr := eventlog.DecodeAckByJSON(answer)
		if (fastErr == nil) != (slowErr == nil) || fast != slow {
			t.Errorf("%q: %v and %v, or %v and %v", answer, fast, fastErr, slow, slowErr)
		}
	})
}
