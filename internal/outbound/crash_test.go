package outbound_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound/outboundtest"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// frozen is a process that stops for good before a request to TikTok leaves it.
type frozen struct {
	reached chan struct{}
	end     <-chan struct{}
}

func (f *frozen) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/"+outboundtest.SendPath) {
		return http.DefaultTransport.RoundTrip(r)
	}
	close(f.reached)
	<-f.end
	return nil, errors.New("the process has ended")
}

// dying is the event log of a process that dies once it was told to: nothing is stored any more.
type dying struct {
	*eventlog.Log
	dead atomic.Bool
	// dieAfter counts the records that are still stored.
	dieAfter atomic.Int64
}

func (d *dying) SaveSend(ctx context.Context, id string, value []byte, revision uint64) (uint64, error) {
	if d.dieAfter.Add(-1) < 0 {
		d.dead.Store(true)
		return 0, errors.New("the process has ended")
	}
	return d.Log.SaveSend(ctx, id, value, revision)
}

func (d *dying) Append(ctx context.Context, r eventlog.Record) (eventlog.Result, error) {
	if d.dead.Load() {
		return eventlog.Result{}, errors.New("the process has ended")
	}
	return d.Log.Append(ctx, r)
}

// diesDuringTheCall is a process that ends while it waits for TikTok's answer. TikTok has the message.
func diesDuringTheCall(b *outboundtest.Bench) {
	b.Helper()
	b.Sim.InjectFault(simulator.Fault{Endpoint: outboundtest.SendPath, Times: 1, HangAfterProcessing: true})
	log := &dying{Log: b.Log}
	log.dieAfter.Store(1)
	b.Start(b.Context(), b.Sender(outboundtest.Change{Log: log}), b.Request("k", "hi"))
	b.Eventually("the message", func() bool { return b.Arrived() == 1 })
	log.dead.Store(true)
}

// long is longer than any process may be at a message, and than TikTok's list may be behind.
const long = 3 * time.Minute

// TestCrashes: a process ends at each point of sending; the application repeats its request to another one.
func TestCrashes(t *testing.T) {
	for name, tc := range map[string]struct {
		// dead is the process that ends. It returns once it has.
		dead func(b *outboundtest.Bench)
		// before the application asks again.
		before func(b *outboundtest.Bench)
		// unknown: nobody can know whether TikTok has it.
		unknown bool
		// replayed: it was sent by the process that ended.
		replayed bool
	}{
		"before it is written down": {dead: func(b *outboundtest.Bench) {
			log := &dying{Log: b.Log}
			log.dieAfter.Store(0)
			if _, err := b.Send(b.Sender(outboundtest.Change{Log: log}), b.Request("k", "hi")); err == nil {
				b.Error("it was sent without being remembered")
			}
			b.WantArrived(0)
		}},
		"before the call": {dead: func(b *outboundtest.Bench) {
			f := &frozen{make(chan struct{}), b.Context().Done()}
			b.Start(b.Context(), b.Sender(outboundtest.Change{Transport: f}), b.Request("k", "hi"))
			<-f.reached
		}},
		"during the call, and TikTok's webhook comes": {replayed: true, dead: diesDuringTheCall},
		"during the call, and TikTok's webhook does not come": {replayed: true, dead: func(b *outboundtest.Bench) {
			b.Sim.SetWebhook("DIRECT_MESSAGE", "")
			diesDuringTheCall(b)
		}},
		"during the call, and TikTok tells nothing": {unknown: true, dead: func(b *outboundtest.Bench) {
			b.Sim.SetWebhook("DIRECT_MESSAGE", "")
			diesDuringTheCall(b)
			b.Sim.InjectFault(simulator.Fault{Endpoint: outboundtest.ListPath, Times: 1, Status: http.StatusBadGateway})
		}},
		"after the call, before that is written down": {replayed: true, dead: func(b *outboundtest.Bench) {
			log := &dying{Log: b.Log}
			log.dieAfter.Store(1)
			if _, err := b.Send(b.Sender(outboundtest.Change{Log: log}), b.Request("k", "hi")); err != nil {
				b.Error(err)
			}
			b.WantArrived(1)
		}},
		"after that": {replayed: true, dead: func(b *outboundtest.Bench) {
			if _, err := b.Send(b.Sender(outboundtest.Change{}), b.Request("k", "hi")); err != nil {
				b.Error(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := outboundtest.New(t)
			tc.dead(b)
			b.Clock.Step(long)
			sent, err := b.Send(b.Sender(outboundtest.Change{}), b.Request("k", "hi"))
			if tc.unknown {
				var unknown *outbound.UnknownOutcomeError
				if !errors.As(err, &unknown) || unknown.SendID == "" {
					t.Fatalf("got %+v, %v", sent, err)
				}
				// Once TikTok tells, so does the answer.
				sent, err = b.Send(b.Sender(outboundtest.Change{}), b.Request("k", "hi"))
				tc.replayed = true
			}
			if err != nil {
				t.Fatal(err)
			}
			b.WantArrived(1)
			if sent.MessageID == "" || sent.Replayed != tc.replayed {
				t.Errorf("got %+v", sent)
			}
			// From now on the answer is the same.
			again, err := b.Send(b.Sender(outboundtest.Change{}), b.Request("k", "hi"))
			if err != nil || again.MessageID != sent.MessageID || again.SendID != sent.SendID || !again.Replayed {
				t.Errorf("repeated: %+v, %v", again, err)
			}
			b.WantArrived(1)
			b.Eventually("the message in its conversation", func() bool {
				m := b.Message(sent.SendID)
				return m != nil && m.ID == sent.MessageID && m.Status.Supersedes(cloudevent.StatusFailed)
			})
		})
	}
}
