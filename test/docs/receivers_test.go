package docs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/process"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

const (
	currentSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	nextSecret    = "the next secret, a plain text of enough bytes"
	channelUID    = "uid-1"
	conversation  = "Y29udmVyc2F0aW9u+/="
	otherSecret   = "somebody else's secret of enough bytes"
)

// receivers are the programs of docs/how-to/receive-events: how each is started, from that folder.
func receivers() map[string]func(t *testing.T) []string {
	interpreted := func(interpreter, path string) func(*testing.T) []string {
		return func(t *testing.T) []string {
			t.Helper()
			if _, err := exec.LookPath(interpreter); err != nil {
				t.Skipf("the program needs %s, which this machine has not", interpreter)
			}
			return []string{interpreter, path}
		}
	}
	return map[string]func(*testing.T) []string{
		"go": func(t *testing.T) []string {
			t.Helper()
			binary := filepath.Join(t.TempDir(), "receiver")
			build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", binary, "./go")
			build.Dir = receiversDir
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			return []string{binary}
		},
		"python":     interpreted("python3", "python/receiver.py"),
		"javascript": interpreted("node", "javascript/receiver.mjs"),
	}
}

const receiversDir = "../../docs/how-to/receive-events"

// receiver is one of them while it runs.
type receiver struct {
	url, inbox string
	output     *output
	stop       func() // ends it: all that it printed is in output then
}

type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// startReceiver starts a program with a secret, on an inbox of its own or the one that is given.
func startReceiver(t *testing.T, command []string, secret, inbox string) *receiver {
	t.Helper()
	ports, err := program.Ports(1)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	r := &receiver{url: "http://" + address + "/events", inbox: inbox, output: &output{}}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = receiversDir, r.output, r.output
	cmd.Env = append(os.Environ(), "WEBHOOK_SECRET="+secret, "ADDRESS="+address, "INBOX="+inbox, "PYTHONDONTWRITEBYTECODE=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	r.stop = func() { _ = cmd.Process.Kill(); <-done }
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			t.Logf("the receiver printed:\n%s", r.output)
		}
	})
	wait(t, "the receiver to listen", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return r
}

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	if err := program.Wait(t.Context(), time.Minute, what, func() (bool, error) { return done(), nil }); err != nil {
		t.Fatal(err)
	}
}

// kept are the ids of the events in the inbox.
func (r *receiver) kept(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(r.inbox)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	ids := []string{}
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".json"); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// signer is the key of a sink whose Secret holds these values under key and key_previous.
func signer(t *testing.T, secrets ...string) *sink.SigningKey {
	t.Helper()
	ch := receivingChannel("https://public.example/")
	target, err := sink.Resolve(t.Context(), fake.NewClientBuilder().WithObjects(signingSecret(secrets...)).Build(), ch, &ch.Spec.Sinks[0])
	if err != nil {
		t.Fatal(err)
	}
	return target.SigningKey
}

func signingSecret(secrets ...string) *corev1.Secret {
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "inbox-signing"}, Data: map[string][]byte{}}
	for i, key := range []string{"secret", "secret" + sink.PreviousSuffix}[:len(secrets)] {
		object.Data[key] = []byte(secrets[i])
	}
	return object
}

func receivingChannel(uri string) *v1alpha1.TiktokChannel {
	soon := metav1.Duration{Duration: 10 * time.Millisecond}
	return &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "acme", UID: channelUID},
		Spec: v1alpha1.TiktokChannelSpec{Sinks: []v1alpha1.Sink{{
			Name: "inbox", URI: uri, SigningSecretRef: &v1alpha1.SecretKeyReference{Name: "inbox-signing", Key: "secret"},
			Delivery: &v1alpha1.Delivery{
				Timeout: &metav1.Duration{Duration: 10 * time.Second}, Backoff: &v1alpha1.Backoff{Min: &soon, Max: &soon},
			},
		}}},
	}
}

// webhookBody is a message as TikTok sends it.
func webhookBody(message string) []byte {
	content, _ := json.Marshal(map[string]any{
		"message_id": message, "conversation_id": conversation, "type": "text", "text": map[string]any{"body": "Ação 😀 " + message},
		"timestamp": 1_780_000_000_123,
	})
	body, _ := json.Marshal(map[string]any{"event": "im_receive_msg", "user_openid": "biz", "create_time": 1_780_000_000, "content": string(content)})
	return body
}

// delivery is a request as the operator makes it.
func delivery(t *testing.T, url, id string, key *sink.SigningKey, at time.Time) *http.Request {
	t.Helper()
	e, err := cloudevent.Normalize(cloudevent.Input{ID: id, Namespace: "shop", Name: "acme", Body: webhookBody("1"), ReceivedAt: at})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(e.Data))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = e.Header()
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	r.Header.Set("webhook-signature", key.Sign(id, at, e.Data))
	return r
}

// TestReceiversCheckWhoSends gives each program requests that it must take, and ones that it must not.
func TestReceiversCheckWhoSends(t *testing.T) {
	for name, build := range receivers() {
		t.Run(name, func(t *testing.T) {
			command := build(t)
			r := startReceiver(t, command, currentSecret, filepath.Join(t.TempDir(), "inbox"))
			now := time.Now()
			key := signer(t, currentSecret)
			steps := []struct {
				what, id string
				key      *sink.SigningKey
				at       time.Time
				change   func(*http.Request)
				status   int
				kept     int // afterwards
			}{
				{what: "a good signature", id: "evt_a", key: key, at: now, status: 204, kept: 1},
				{what: "the same event again", id: "evt_a", key: key, at: now, status: 204, kept: 1},
				{what: "another event", id: "evt_B-_9", key: key, at: now, status: 204, kept: 2},
				{what: "the secret is changed, the program has the old one", id: "evt_c", key: signer(t, nextSecret, currentSecret), at: now, status: 204, kept: 3},
				{what: "another secret", id: "evt_x", key: signer(t, otherSecret), at: now, status: 401, kept: 3},
				{what: "two other secrets", id: "evt_x", key: signer(t, otherSecret, nextSecret), at: now, status: 401, kept: 3},
				{what: "an old timestamp", id: "evt_x", key: key, at: now.Add(-6 * time.Minute), status: 401, kept: 3},
				{what: "a timestamp of the future", id: "evt_x", key: key, at: now.Add(6 * time.Minute), status: 401, kept: 3},
				{what: "a clock that is a little off", id: "evt_d", key: key, at: now.Add(-4 * time.Minute), status: 204, kept: 4},
				{what: "no signature", id: "evt_x", key: key, at: now, change: drop("webhook-signature"), status: 401, kept: 4},
				{what: "no timestamp", id: "evt_x", key: key, at: now, change: drop("webhook-timestamp"), status: 401, kept: 4},
				{what: "no id", id: "evt_x", key: key, at: now, change: drop("webhook-id"), status: 401, kept: 4},
				{what: "another id than what was signed", id: "evt_x", key: key, at: now, change: set("webhook-id", "evt_y"), status: 401, kept: 4},
				{what: "a newer timestamp than what was signed", id: "evt_x", key: key, at: now.Add(-time.Hour),
					change: set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10)), status: 401, kept: 4},
				{what: "an id that leads elsewhere", id: "../evt_x", key: key, at: now, status: 401, kept: 4},
				{what: "a signature of another version", id: "evt_x", key: key, at: now, change: func(r *http.Request) {
					r.Header.Set("webhook-signature", strings.Replace(r.Header.Get("webhook-signature"), "v1,", "v1a,", 1))
				}, status: 401, kept: 4},
			}
			for _, s := range steps {
				request := delivery(t, r.url, s.id, s.key, s.at)
				if s.change != nil {
					s.change(request)
				}
				if status := answer(t, request); status != s.status {
					t.Errorf("%s: answered %d, want %d", s.what, status, s.status)
				}
				if kept := r.kept(t); len(kept) != s.kept {
					t.Errorf("%s: %v are kept, want %d events", s.what, kept, s.kept)
				}
			}
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if status := answer(t, delivery(t, r.url, "evt_e", key, now)); status != 204 {
						t.Errorf("an event that comes several times at once is answered %d", status)
					}
				})
			}
			all.Wait()
			r.stop()
			for id, what := range map[string]string{"evt_a": "that came again", "evt_e": "that came several times at once"} {
				if n := strings.Count(r.output.String(), "received io.tiktok-operator.message.received "+id); n != 1 {
					t.Errorf("an event %s was dealt with %d times", what, n)
				}
			}
			again := startReceiver(t, command, nextSecret, r.inbox)
			if status := answer(t, delivery(t, again.url, "evt_a", signer(t, nextSecret, currentSecret), now)); status != 204 {
				t.Errorf("after a restart with the next secret, an event that is there is answered %d", status)
			}
			again.stop()
			if out := again.output.String(); out != "" {
				t.Errorf("after a restart an event is dealt with again: %s", out)
			}
			var event struct {
				ID, Type, Subject string
				Data              cloudevent.Data
			}
			text, err := os.ReadFile(filepath.Join(r.inbox, "evt_a.json"))
			if err := errors.Join(err, json.Unmarshal(text, &event)); err != nil {
				t.Fatal(err)
			}
			if event.ID != "evt_a" || event.Subject != conversation || event.Data.Text == nil || *event.Data.Text != "Ação 😀 1" {
				t.Errorf("evt_a is kept as %s", text)
			}
		})
	}
}

func drop(header string) func(*http.Request) { return func(r *http.Request) { r.Header.Del(header) } }

func set(header, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(header, value) }
}

func answer(t *testing.T, r *http.Request) int {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Errorf("no answer: %v", err)
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// TestReceiversTakeDeliveries lets the operator's own dispatcher deliver to each program, while the secret is changed.
func TestReceiversTakeDeliveries(t *testing.T) {
	for name, build := range receivers() {
		t.Run(name, func(t *testing.T) {
			r := startReceiver(t, build(t), currentSecret, filepath.Join(t.TempDir(), "inbox"))
			secret := signingSecret(currentSecret)
			cluster := fake.NewClientBuilder().WithScheme(process.Scheme()).WithObjects(secret).Build()
			log := startDispatcher(t, cluster, receivingChannel(r.url))
			want := appendEvents(t, log, "evt_one", 20)
			wait(t, "the first events", func() bool { return len(r.kept(t)) == len(want) })
			secret.Data = signingSecret(nextSecret, currentSecret).Data
			if err := cluster.Update(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
			want = append(want, appendEvents(t, log, "evt_two", 20)...)
			wait(t, "the events with two signatures", func() bool { return len(r.kept(t)) == len(want) })
			if got := r.kept(t); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
				t.Errorf("kept are %v, want %v", got, want)
			}
			letters, _, err := log.DeadLetters(t.Context(), eventlog.DeadLetterQuery{ChannelUID: channelUID, Limit: 10})
			if err != nil || len(letters) != 0 {
				t.Errorf("%d events became dead letters (%v)", len(letters), err)
			}
		})
	}
}

// startDispatcher starts the operator's dispatcher, on an event log of its own.
func startDispatcher(t *testing.T, cluster client.Client, ch *v1alpha1.TiktokChannel) *eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(t.Context(), eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	d, err := dispatch.New(dispatch.Options{Log: log, Reader: cluster, AllowPrivateSinks: true, ShutdownGrace: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, log.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := d.Apply(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	return log
}

// appendEvents stores events, and returns their ids.
func appendEvents(t *testing.T, log *eventlog.Log, prefix string, n int) []string {
	t.Helper()
	var ids []string
	for i := range n {
		id := prefix + strconv.Itoa(i)
		if _, err := log.Append(t.Context(), eventlog.Record{
			ID: id, App: "app", BusinessID: "biz", ChannelUID: channelUID, Conversation: "c" + strconv.Itoa(i%3), Event: "im_receive_msg",
			ReceivedAt: time.Now(), Body: webhookBody(id),
		}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}
