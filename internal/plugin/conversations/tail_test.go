package conversations_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/wait"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/plugin/conversations"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/gateway"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/plugintest"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// buffer is written and read at the same time.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// connection is one of a client to the stream of events.
type connection struct {
	since, last string
	// say writes to the stream; closing it ends the stream in order.
	say chan string
}

// tailing runs kubectl tiktok tail.
type tailing struct {
	*testing.T
	cluster     *plugintest.Cluster
	clock       *clocktesting.FakeClock
	connections chan *connection
	out, errs   buffer
	ended       chan error
	end         context.CancelFunc
}

func startTail(t *testing.T, args ...string) *tailing {
	t.Helper()
	s := &tailing{T: t, clock: clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0)), connections: make(chan *connection, 10), ended: make(chan error, 1)}
	s.cluster = plugintest.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/namespaces/default/channels/acme/events" || r.Header.Get("Authorization") != "Bearer "+plugintest.Token {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		c := &connection{since: r.URL.Query().Get("since"), last: r.Header.Get("Last-Event-ID"), say: make(chan string)}
		w.Header().Set("Date", "Fri, 15 Jan 2027 10:00:00 GMT")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		s.connections <- c
		for {
			select {
			case text, more := <-c.say:
				if !more {
					return
				}
				_, _ = fmt.Fprint(w, text)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}))
	ctx, end := context.WithCancel(t.Context())
	s.end = end
	root := &cobra.Command{Use: "kubectl-tiktok", SilenceErrors: true, SilenceUsage: true}
	to := target.New()
	to.AddFlags(root.PersistentFlags())
	root.AddCommand(conversations.Commands(to, gateway.New(to), s.clock)...)
	root.SetArgs(append(append([]string{"tail", "acme"}, args...), s.cluster.Args()...))
	root.SetOut(&s.out)
	root.SetErr(&s.errs)
	go func() { s.ended <- root.ExecuteContext(ctx) }()
	t.Cleanup(end)
	return s
}

func (s *tailing) until(what string, done func() bool) {
	s.Helper()
	err := wait.PollUntilContextTimeout(s.Context(), 5*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) { return done(), nil })
	if err == nil {
		return
	}
	select {
	case end := <-s.ended:
		err = fmt.Errorf("%w: it ended with %w", err, end)
	default:
	}
	s.Fatalf("%s: %v\nprinted: %s\nerrors: %s", what, err, s.out.String(), s.errs.String())
}

// connected waits for a connection; time passes, if it must.
func (s *tailing) connected(step time.Duration) (c *connection) {
	s.Helper()
	s.until("a connection", func() bool {
		select {
		case c = <-s.connections:
			return true
		default:
			s.clock.Step(step)
			return false
		}
	})
	return c
}

func (s *tailing) says(c *connection, text string) {
	s.Helper()
	select {
	case c.say <- text:
	case <-time.After(time.Minute):
		s.Fatal("nobody listens")
	}
}

func event(id int) string { return fmt.Sprintf("id: %d-x\nevent: e\ndata: {\"n\":%d}\n\n", id, id) }

func TestTailGoesOnAfterARollout(t *testing.T) {
	s := startTail(t)
	first := s.connected(0)
	if first.since != "" || first.last != "" {
		t.Errorf("the first connection asks for since=%q after %q", first.since, first.last)
	}
	s.says(first, event(1)+"id: 2-x\ndata: {\"n\":2")
	s.until("the first event", func() bool { return strings.Contains(s.out.String(), `{"n":1}`) })
	s.cluster.Run() // the pod goes in the middle of an event, and there is none for a while
	s.until("word of the missing pod", func() bool {
		s.clock.Step(time.Second)
		return strings.Contains(s.errs.String(), "no pod of the webhook deployment is ready")
	})
	s.cluster.Run("webhook-2")
	second := s.connected(time.Second)
	if second.last != "1-x" {
		t.Errorf("the second connection asks for what follows %q, want 1-x", second.last)
	}
	s.says(second, event(2))
	s.until("the second event", func() bool { return strings.Contains(s.out.String(), `{"n":2}`) })
	s.end()
	if err := <-s.ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if got, want := s.out.String(), "{\"n\":1}\n{\"n\":2}\n"; got != want {
		t.Errorf("it printed %q, want %q", got, want)
	}
	if got := fmt.Sprint(s.cluster.Forwards()); got != "[webhook-1 webhook-2]" {
		t.Errorf("port-forwards led to %s", got)
	}
}

func TestTailMissesNothingBeforeItsFirstEvent(t *testing.T) {
	s := startTail(t)
	close(s.connected(0).say)
	if second := s.connected(time.Second); second.since != "2027-01-15T10:00:00Z" || second.last != "" {
		t.Errorf("the second connection asks for since=%q after %q, want the time of the first one by the API's clock", second.since, second.last)
	}
}

func TestTailPausesWhenAStreamEnds(t *testing.T) {
	s := startTail(t, "--since=1h")
	for _, pause := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
		close(s.connected(0).say)
		s.until("the pause", func() bool { return strings.Contains(s.errs.String(), "listening again in "+pause.String()) })
		select {
		case <-s.connections:
			t.Fatalf("it did not pause for %s", pause)
		default:
		}
		s.until("its timer", s.clock.HasWaiters)
		s.clock.Step(pause)
	}
	if last := s.connected(0); last.since != "2027-01-15T07:00:00Z" {
		t.Errorf("it asks for since=%q, want what was asked for at first", last.since)
	}
}

func TestTailLeavesASilentConnection(t *testing.T) {
	s := startTail(t)
	s.connected(0)
	second := s.connected(10 * time.Second)
	if !strings.Contains(s.errs.String(), "nothing came for 1m0s") {
		t.Errorf("it says %q", s.errs.String())
	}
	s.says(second, ":\n\n") // it is still there
}

func TestTailEndsWhereListeningAgainIsOfNoUse(t *testing.T) {
	s := startTail(t)
	first := s.connected(0)
	s.cluster.Forbid("create pods/portforward")
	close(first.say)
	s.until("its end", func() bool {
		s.clock.Step(time.Second) // its pause
		return len(s.ended) > 0
	})
	if err := target.Explain(<-s.ended); err == nil || !strings.Contains(err.Error(), "creates pods/portforward") {
		t.Errorf("it ended with %v", err)
	}
}
