package messagingapi

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

const (
	// maxStreams of a process, all channels together. Each reads the log for itself.
	maxStreams = 100
	// watchPause is the pause before the log is watched anew.
	watchPause = time.Second
)

// StreamLog is what the streams of events need of the event log. *eventlog.Log is one.
type StreamLog interface {
	Watch(ctx context.Context, ready func(), notify func(channelUID string, sequence uint64)) error
	Events(ctx context.Context, q eventlog.Query) (events []*eventlog.Stored, more bool, err error)
	NewestSequence(ctx context.Context, channelUID string) (uint64, error)
	Epoch() int64
}

// Streams wakes the streams of events when there are new ones, and ends them with the process. It holds no event. Add it to the manager.
type Streams struct {
	log    StreamLog
	clock  clock.Clock
	logger logr.Logger
	// ended is closed when the process ends.
	ended chan struct{}
	// patience bounds one write.
	patience time.Duration

	mu   sync.Mutex
	open int
	wake map[string]map[chan struct{}]struct{} // by channel UID
}

// NewStreams makes Streams; a nil clock is the real one.
func NewStreams(log StreamLog, c clock.Clock, logger logr.Logger) *Streams {
	if c == nil {
		c = clock.RealClock{}
	}
	if logger.GetSink() == nil {
		logger = logr.Discard()
	}
	return &Streams{
		log: log, clock: c, logger: logger, ended: make(chan struct{}), patience: streamWrite, wake: map[string]map[chan struct{}]struct{}{},
	}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica has its streams.
func (*Streams) NeedLeaderElection() bool { return false }

// Start watches the log until the context ends. While it cannot, the streams look for events by themselves with each heartbeat.
func (s *Streams) Start(ctx context.Context) error {
	defer close(s.ended)
	for {
		err := s.log.Watch(ctx, s.wakeAll, s.wakeOf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, eventlog.ErrRenewed) {
			s.logger.Error(err, "watching for events failed; trying again")
		}
		s.wakeAll()
		timer := s.clock.NewTimer(watchPause)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// add takes up a stream, unless there are too many. wake tells that the channel may have news; it holds one sign at most.
func (s *Streams) add(channelUID string) (wake <-chan struct{}, remove func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == maxStreams {
		return nil, nil, false
	}
	s.open++
	sign := make(chan struct{}, 1)
	if s.wake[channelUID] == nil {
		s.wake[channelUID] = map[chan struct{}]struct{}{}
	}
	s.wake[channelUID][sign] = struct{}{}
	return sign, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
		if delete(s.wake[channelUID], sign); len(s.wake[channelUID]) == 0 {
			delete(s.wake, channelUID)
		}
	}, true
}

func (s *Streams) wakeOf(channelUID string, _ uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	give(s.wake[channelUID])
}

func (s *Streams) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, signs := range s.wake {
		give(signs)
	}
}

func give(signs map[chan struct{}]struct{}) {
	for sign := range signs {
		select {
		case sign <- struct{}{}:
		default:
		}
	}
}
