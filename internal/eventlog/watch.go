package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"k8s.io/utils/clock"
)

// watchHeartbeat is how often the server shows that it still watches. Twice as long after the last sign, another one does.
const watchHeartbeat = time.Second

// watchCheck is how often a watch is compared with what is stored.
const watchCheck = 4 * time.Second

// Watch calls notify for each event that is stored from now on, by any process: the channel it belongs to and its sequence, about in the order
// of storing. A sequence of 0 means that an event may have been stored, or may soon be. notify must not block. It returns when the context
// ends, with ErrRenewed when the log was lost and made anew, or with another error if it cannot begin. ready, if not nil, is called once every
// later event is certain to be seen.
func (l *Log) Watch(ctx context.Context, ready func(), notify func(channelUID string, sequence uint64)) error {
	if l.server != nil {
		// Nobody else stores: the server need not send every event back to where it came from.
		defer l.watchers.add(notify)()
		if ready != nil {
			ready()
		}
		<-ctx.Done()
		return nil
	}
	epoch, ended := l.watchEpoch()
	stream, err := l.readJS.Stream(ctx, eventsStream)
	if err != nil {
		return &UnavailableError{Doing: "watching for events", Err: err}
	}
	if stream.CachedInfo().Created.UnixNano() != epoch { // which is noticed in a moment
		return &UnavailableError{Doing: "watching for events", Err: ErrRenewed}
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		HeadersOnly:      true,
		DeliverPolicy:    jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:      stream.CachedInfo().State.LastSeq + 1,
		MaxResetAttempts: -1, // an outage of the server ends some time
	})
	if err != nil {
		return &UnavailableError{Doing: "watching for events", Err: err}
	}
	var seen atomic.Uint64
	seen.Store(stream.CachedInfo().State.LastSeq)
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		uid, ok := channelOf(m.Subject())
		if !ok {
			return
		}
		meta, err := m.Metadata()
		if err != nil {
			return
		}
		seen.Store(meta.Sequence.Stream)
		notify(uid, meta.Sequence.Stream)
	}, jetstream.PullHeartbeat(watchHeartbeat), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		l.opts.Log.V(1).Info("watching for events was interrupted, and goes on", "reason", fmt.Sprint(err))
	}))
	if err != nil {
		return &UnavailableError{Doing: "watching for events", Err: err}
	}
	defer consuming.Stop()
	if ready != nil {
		ready()
	}
	checking, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case <-ctx.Done():
		return nil
	case <-ended:
		return ErrRenewed
	case <-consuming.Closed():
		return &UnavailableError{Doing: "watching for events", Err: errors.New("the subscription was closed")}
	case <-l.stuck(checking, &seen):
		return &UnavailableError{Doing: "watching for events", Err: errors.New("events are stored, and the server tells of none")}
	}
}

// stuck is closed when a watch has seen nothing between two checks, although the leader of the stream had something newer at both. A subscription may
// survive the loss of servers in name only: it is alive by its heartbeats, and gives nothing. Nobody else would notice: what is stored then would
// wait for the next thing to happen.
func (l *Log) stuck(ctx context.Context, seen *atomic.Uint64) <-chan struct{} {
	stuck := make(chan struct{})
	go func() {
		for behind := uint64(0); ; {
			if pause(ctx, watchCheck); ctx.Err() != nil {
				return
			}
			newest, _, err := l.newestOfLeader(ctx, eventsStream, eventsPrefix+">")
			now := seen.Load()
			switch {
			case err != nil: // others notice that
			case newest <= now:
				behind = 0
			case behind == now+1:
				close(stuck)
				return
			default:
				behind = now + 1
			}
		}
	}()
	return stuck
}

// watchers are told of what this process stores.
type watchers struct {
	mu   sync.RWMutex
	next int
	all  map[int]func(channelUID string, sequence uint64)
}

// add returns what ends the watching.
func (w *watchers) add(notify func(string, uint64)) (remove func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[int]func(string, uint64){}
	}
	w.next++
	id := w.next
	w.all[id] = notify
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, id)
	}
}

func (w *watchers) tell(channelUID string, sequence uint64) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, notify := range w.all {
		notify(channelUID, sequence)
	}
}

// doubt tells of an event whose storing was not confirmed: it may be there by now, or in a moment.
func (w *watchers) doubt(channelUID string) {
	w.tell(channelUID, 0)
	clock.RealClock{}.AfterFunc(DefaultTimeout, func() { w.tell(channelUID, 0) }) // the server's time is the machine's
}
