package eventlog_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	testclock "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog/eventlogtest"
)

// stuckLeader stands in for the leader of a stream that takes everything for being stored already, as many times as it is told, or until it no
// longer leads.
type stuckLeader struct {
	t       *testing.T
	account *server.Account
	subject string
	// times that it still refuses; it counts how often it did, and how often it was asked to step down.
	times          int64
	refused, asked atomic.Int64
}

const (
	inProcessAnswer = `{"error":{"code":409,"err_code":10158,"description":"duplicate message id is in process"},"stream":"X","seq":0}`
	stepDown        = "$JS.API.STREAM.LEADER.STEPDOWN."
)

func newStuckLeader(t *testing.T, ns *server.Server, stream, subject string, times int64) *stuckLeader {
	t.Helper()
	s := &stuckLeader{t: t, account: ns.GlobalAccount(), subject: subject, times: times}
	conn, _ := admin(t, ns.ClientURL())
	_, err := conn.Subscribe("stuck", func(m *nats.Msg) {
		if s.refused.Add(1) == s.times {
			s.heal()
		}
		_ = m.Respond([]byte(inProcessAnswer))
	})
	_, stepErr := conn.Subscribe("down", func(m *nats.Msg) {
		s.heal()
		s.asked.Add(1)
		_ = m.Respond([]byte(`{"type":"io.nats.jetstream.api.v1.stream_leader_stepdown_response","success":true}`))
	})
	if err := errors.Join(err, stepErr, conn.Flush(), s.account.AddMapping(stepDown+stream, "down")); err != nil {
		t.Fatal(err)
	}
	s.stick()
	return s
}

func (s *stuckLeader) stick() {
	if err := s.account.AddMapping(s.subject, "stuck"); err != nil {
		s.t.Error(err)
	}
}

func (s *stuckLeader) heal() { s.account.RemoveMapping(s.subject) }

const always = 1 << 40

// A server that led before, and lost what it was storing then, refuses that for days once it leads again.
func TestLeaderThatStoresNothingIsReplaced(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		stream, subject string
		store           func(*eventlog.Log) error
	}{
		"events": {eventsStream, "tiktok.events.*.*", func(l *eventlog.Log) error {
			_, err := l.Append(t.Context(), record("1"))
			return err
		}},
		"events of no channel": {"TIKTOK_UNROUTED", "tiktok.unrouted.*.*", func(l *eventlog.Log) error {
			r := record("1")
			r.ChannelUID = ""
			_, err := l.Append(t.Context(), r)
			return err
		}},
		"jobs": {"TIKTOK_JOBS", "tiktok.jobs.*.*", func(l *eventlog.Log) error {
			return l.AddJob(t.Context(), eventlog.Job{Kind: "k", Record: record("1")})
		}},
		"dead letters": {"TIKTOK_DEAD", "tiktok.dead.*.*", func(l *eventlog.Log) error {
			r := record("1")
			r.Sink = "s"
			return l.AddDeadLetter(t.Context(), eventlog.DeadLetter{Record: r, Sequence: 1, Reason: "x"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := eventlogtest.Server(t, &server.Options{})
			clock := testclock.NewFakeClock(time.Now())
			l := open(t, eventlog.Options{URL: ns.ClientURL(), Clock: clock}.WithProcessPatience(time.Millisecond))
			leader := newStuckLeader(t, ns, tc.stream, tc.subject, always)
			stored := func() error { return tc.store(l) }
			var unavailable *eventlog.UnavailableError
			if err := stored(); !errors.As(err, &unavailable) {
				t.Fatalf("the error is %v", err)
			}
			eventually(t, "another leader", func() bool { return leader.asked.Load() == 1 })
			if err := stored(); err != nil {
				t.Fatal(err)
			}

			// The next leader gets a minute.
			leader.stick()
			for range 300 { // which takes much longer than the patience
				if err := stored(); !errors.As(err, &unavailable) {
					t.Fatalf("the error is %v", err)
				}
			}
			if asked := leader.asked.Load(); asked != 1 {
				t.Errorf("%d leaders were asked to step down within a minute", asked)
			}
			clock.Step(time.Minute)
			eventually(t, "one more leader", func() bool { return stored() == nil })
			if asked := leader.asked.Load(); asked != 2 {
				t.Errorf("%d leaders were asked to step down, want 2", asked)
			}
		})
	}
}

// A message that comes twice at once is in process for a moment.
func TestLeaderThatIsAboutToStoreIsLeft(t *testing.T) {
	t.Parallel()
	ns := eventlogtest.Server(t, &server.Options{})
	l := open(t, eventlog.Options{URL: ns.ClientURL()}.WithProcessPatience(time.Millisecond))
	leader := newStuckLeader(t, ns, eventsStream, "tiktok.events.*.*", 1)
	if _, err := l.Append(t.Context(), record("1")); err == nil {
		t.Fatal("it was stored")
	}
	eventually(t, "the message to be stored", func() bool { return len(all(t, l, uid)) == 1 })
	if result, err := l.Append(t.Context(), record("1")); err != nil || !result.Duplicate {
		t.Errorf("%+v %v", result, err)
	}
	if asked := leader.asked.Load(); asked != 0 {
		t.Errorf("the leader was asked to step down %d times", asked)
	}
}
