package dispatch_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/cloudevents/sdk-go/v2"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

// consumer is a sink as somebody else writes one: the SDK of CloudEvents listens and reads the request, behind a library of Standard Webhooks that
// checks it. It knows nothing of how the dispatcher makes them.
type consumer struct {
	url     string
	mu      sync.Mutex
	events  []sdk.Event
	refused int
}

func newConsumer(t *testing.T, secret string) *consumer {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &consumer{url: "http://" + listener.Addr().String()}
	verify := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err == nil {
				err = verifier.Verify(body, r.Header)
			}
			if err != nil {
				c.mu.Lock()
				c.refused++
				c.mu.Unlock()
				http.Error(w, err.Error(), http.StatusUnauthorized)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		})
	}
	receiver, err := sdk.NewClientHTTP(cehttp.WithListener(listener), cehttp.WithMiddleware(verify))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- receiver.StartReceiver(ctx, func(e sdk.Event) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.events = append(c.events, e)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

// take returns what has arrived since the last time, by id, once there is so much; and how many requests were refused.
func (c *consumer) take(t *testing.T, n int) (events map[string]sdk.Event, refused int) {
	t.Helper()
	eventually(t, "events at the consumer", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.events)+c.refused >= n
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	events = map[string]sdk.Event{}
	for _, e := range c.events {
		events[e.ID()] = e
	}
	refused, c.events, c.refused = c.refused, nil, 0
	return events, refused
}

// everyType are records of every type of events, with ids that begin with a prefix, and what they become. The last one is a replay.
func everyType(t *testing.T, prefix string) (records []eventlog.Record, want []cloudevent.Event) {
	t.Helper()
	files, err := filepath.Glob("../cloudevent/testdata/wire/*/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	files = append(files, files[0])
	for i, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Base(filepath.Dir(file))
		r := eventlog.Record{
			ID: prefix + "-" + strings.TrimSuffix(folder+"-"+filepath.Base(file), ".json"), App: "app", ChannelUID: uid, Conversation: folder,
			ReceivedAt: time.Date(2026, 8, 1, 10, 0, 0, 123_000_000, time.UTC), Body: body,
			Own: strings.HasPrefix(folder, "channel.") || folder == "message.status",
		}
		if i == len(files)-1 {
			r.ID, r.Replay = prefix+"-replay", "occasion"
		}
		e, err := cloudevent.Normalize(cloudevent.Input{ID: r.ID, Namespace: "ns", Name: "ch", Own: r.Own, Body: body, ReceivedAt: r.ReceivedAt})
		if err != nil || e.Type != "io.tiktok-operator."+folder {
			t.Fatalf("%s: %+v, %v", file, e, err)
		}
		records, want = append(records, r), append(want, e)
	}
	return records, want
}

// sameEvent checks that the SDK has read what was sent, all of it and no more.
func sameEvent(t *testing.T, got sdk.Event, want cloudevent.Event) {
	t.Helper()
	if err := got.Validate(); err != nil {
		t.Errorf("%s: %v", want.ID, err)
	}
	extensions := map[string]any{}
	if want.PartitionKey != "" {
		extensions["partitionkey"] = want.PartitionKey
	}
	if strings.HasSuffix(want.ID, "-replay") {
		extensions["replay"] = "true"
	}
	// The event had no trace: one begins with its first delivery.
	trace, _ := got.Extensions()["traceparent"].(string)
	if extensions["traceparent"] = trace; tracecontext.Parse(trace, "").TraceID() == "" {
		t.Errorf("%s: the trace is %q", want.ID, trace)
	}
	for name, v := range extensions {
		if got.Extensions()[name] != v {
			t.Errorf("%s: the extension %s is %v, want %v", want.ID, name, got.Extensions()[name], v)
		}
	}
	if got.SpecVersion() != "1.0" || got.Type() != want.Type || got.Source() != want.Source || got.Subject() != want.Subject ||
		!got.Time().Equal(want.Time) || got.DataContentType() != "application/json" || !bytes.Equal(got.Data(), want.Data) ||
		len(got.Extensions()) != len(extensions) {
		t.Errorf("%s arrives as %.500s", want.ID, got)
	}
}

// TestConsumersOfOthersReadEveryDelivery: what the dispatcher sends is what the specifications say, in the eyes of libraries that are not ours, before,
// during and after a rotation of the secret.
func TestConsumersOfOthersReadEveryDelivery(t *testing.T) {
	const before, after = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBka"
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "keys"}, Data: map[string][]byte{"key": []byte(before)}}
	slow, quick := newConsumer(t, before), newConsumer(t, after) // at changing over
	r := newRig(t, nil, secret)
	signed := func(name string, c *consumer) v1alpha1.Sink {
		s := sinkOf(name, c.url)
		s.SigningSecretRef = &v1alpha1.SecretKeyReference{Name: "keys", Key: "key"}
		return s
	}
	ch := channelWith(signed("slow", slow), signed("quick", quick))
	for _, phase := range []struct {
		name   string
		secret map[string][]byte
		fails  []*consumer
	}{
		{"before", map[string][]byte{"key": []byte(before)}, []*consumer{quick}},
		{"meanwhile", map[string][]byte{"key": []byte(after), "key" + sink.PreviousSuffix: []byte(before)}, nil},
		{"afterwards", map[string][]byte{"key": []byte(after)}, []*consumer{slow}},
	} {
		t.Run(phase.name, func(t *testing.T) {
			secret.Data = phase.secret
			if err := r.client.Update(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
			r.restart() // else a Secret is looked at again half a minute later
			r.apply(ch)
			records, want := everyType(t, phase.name)
			for _, record := range records {
				if _, err := r.log.Append(t.Context(), record); err != nil {
					t.Fatal(err)
				}
			}
			for name, c := range map[string]*consumer{"slow": slow, "quick": quick} {
				got, refused := c.take(t, len(records))
				if slices.Contains(phase.fails, c) {
					if refused != len(records) {
						t.Errorf("a consumer with the wrong secret refuses %d of %d", refused, len(records))
					}
					eventually(t, "the refusals are final", func() bool { return len(r.letters(name)) == len(records) })
					continue
				}
				if refused != 0 || len(got) != len(records) {
					t.Fatalf("%d of %d events are read, %d are refused", len(got), len(records), refused)
				}
				for _, e := range want {
					sameEvent(t, got[e.ID], e)
				}
			}
		})
	}
}
