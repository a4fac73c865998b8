package inbound

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

const (
	// takeOver is within what the others must have taken over what a replica or a server leaves that ends, and findOut within what they must have
	// where a server is there and does nothing. It takes about ten and twenty seconds on a machine that has little else to do.
	takeOver, findOut = 90 * time.Second, 2 * time.Minute
	// unlearned is for how long a replica that reaches nobody goes on delivering at most, by what package ownership says: its leases last seven
	// seconds, and what is under way then has two more.
	unlearned = 10 * time.Second
	// tooLong is longer than a replica's leases last, and than others wait for them to be renewed.
	tooLong = 12 * time.Second
)

// midst lets an accident happen so many times, each time in the midst of its share of the events: what is sent before it is acknowledged, and as
// much is sent during and after it.
func (s *scene) midst(ctx context.Context, times int, accident func(i int) error) error {
	for i := range times {
		if i > 0 {
			if err := s.nats.divided(ctx, len(s.replicas)); err != nil {
				return err
			}
		}
		s.sender.allow(s.o.Events * (i + 1) / times)
		if err := s.sender.reached(ctx, 2*i+1, 2*times); err != nil {
			return err
		}
		if err := accident(i); err != nil {
			return err
		}
	}
	return nil
}

// goesOn waits until the present share of the events is acknowledged, and has arrived at both sinks, although something is missing.
func (s *scene) goesOn(ctx context.Context, limit time.Duration, i, times int, without string) error {
	want := s.o.Events * (i + 1) / times
	err := s.within(ctx, limit, "events to be taken and delivered without "+without, func() bool {
		return s.sender.done.Load() >= int64(want) && s.steady.count() >= want && s.troubled.count() >= want
	})
	if err != nil {
		err = fmt.Errorf("%w: %d were acknowledged, %d and %d delivered of %d", err, s.sender.done.Load(), s.steady.count(), s.troubled.count(), want)
	}
	return err
}

// times is how often a replica or a server is killed: half as often as a webhook binary that is alone, since each time takes a while.
func (s *scene) times() int { return (s.o.Crashes + 1) / 2 }

// replicaKilled kills one replica after the other, and starts it again at once. It comes back as another one: what it served is others' only when
// its leases are over.
func replicaKilled(ctx context.Context, s *scene) error {
	s.note("one of %d killed, %d times", len(s.replicas), s.times())
	return s.midst(ctx, s.times(), func(i int) error {
		w, began := s.replicas[i%len(s.replicas)], time.Now()
		w.Kill()
		s.excuse("", began)
		if err := s.goesOn(ctx, takeOver, i, s.times(), "a replica"); err != nil {
			return err
		}
		return w.start(ctx)
	})
}

// replicaRestarted ends one replica after the other as a rollout does. That excuses nothing.
func replicaRestarted(ctx context.Context, s *scene) error {
	s.note("one of %d restarted, %d times", len(s.replicas), s.times())
	return s.midst(ctx, s.times(), func(i int) error {
		w := s.replicas[i%len(s.replicas)]
		if err := w.Stop(time.Minute); err != nil {
			return err
		}
		return w.start(ctx)
	})
}

// replicaPaused stops a replica for longer than it may hold its channels, and lets it go on as if nothing had happened.
func replicaPaused(ctx context.Context, s *scene) error {
	pause := max(tooLong, s.o.Away)
	s.note("one of %d stopped for %s (SIGSTOP), then let go on", len(s.replicas), pause)
	return s.midst(ctx, 1, func(int) error {
		w, began := s.replicas[0], time.Now()
		w.Signal(syscall.SIGSTOP)
		s.excuse("", began) // what it could not note any more
		stopped := time.Now()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		acknowledged := s.sender.soFar()
		err := s.within(ctx, takeOver, "the other replica to deliver everything", func() bool {
			return s.steady.hasAll(acknowledged) && s.troubled.hasAll(acknowledged)
		})
		w.Signal(syscall.SIGCONT)
		s.excuses = append(s.excuses, Excuse{From: stopped, Began: stopped, Over: time.Now()}) // what it was about to send when it was stopped
		return err
	})
}

// unauthorized takes the businesses from the channels: an authorization is under way, and webhooks come already.
func unauthorized(s *scene) error {
	for _, ch := range s.channels {
		if err := s.hold(context.Background(), ch, ""); err != nil {
			return err
		}
	}
	return nil
}

// authorizedBehind gives the channels their businesses while one replica is cut off from the API server: what it stores, it stores as unrouted, and
// the others move it, each time before they store what follows.
func authorizedBehind(ctx context.Context, s *scene) error {
	s.note("channels authorized after a sixth of the events; one of %d replicas learned of it when three quarters were acknowledged, and %s later",
		len(s.replicas), s.o.Away)
	s.sender.allow(s.o.Events * 3 / 4)
	if err := s.sender.reached(ctx, 1, 6); err != nil {
		return err
	}
	behind := s.proxies[len(s.proxies)-1]
	behind.cut()
	if err := s.authorize(ctx); err != nil {
		return err
	}
	if err := s.sender.reached(ctx, 3, 4); err != nil {
		return err
	}
	if err := s.pass(ctx); err != nil {
		return err
	}
	behind.restore()
	s.sender.resume()
	return nil
}

// leaderLost kills the server that leads the stream of events, and starts it again when the others have gone on without it. That excuses nothing:
// replicas keep what they serve.
func leaderLost(ctx context.Context, s *scene) error {
	s.note("killed %d times, and started again when the others had gone on without it", s.times())
	return s.midst(ctx, s.times(), func(i int) error {
		leader, err := s.nats.usedLeader(ctx)
		if err != nil {
			return err
		}
		leader.Kill()
		if err := s.goesOn(ctx, takeOver, i, s.times(), "the server that led"); err != nil {
			return err
		}
		return leader.start(ctx)
	})
}

// replicaRestartedWithoutLeader ends a replica just when the server that leads the stream of events is lost. That excuses nothing either: what the
// replica has done is stored as soon as another server leads, and only then another replica has its channels.
func replicaRestartedWithoutLeader(ctx context.Context, s *scene) error {
	s.note("one of %d restarted just when the server that leads is killed, %d times", len(s.replicas), s.times())
	return s.midst(ctx, s.times(), func(i int) error {
		w := s.replicas[i%len(s.replicas)]
		leader, err := s.nats.usedLeader(ctx)
		if err != nil {
			return err
		}
		leader.Kill()
		if err := w.Stop(time.Minute); err != nil {
			return err
		}
		if err := s.goesOn(ctx, takeOver, i, s.times(), "a replica and the server that led"); err != nil {
			return err
		}
		if err := leader.start(ctx); err != nil {
			return err
		}
		return w.start(ctx)
	})
}

// leaderCutOff cuts the network between the server that leads the stream of events and the other ones. Its clients still reach it.
func leaderCutOff(ctx context.Context, s *scene) error {
	s.note("cut off from the other servers, not from its clients, for %s after the others had gone on", s.o.Away)
	return s.leaderAway(ctx, "the server that led, which is cut off", func(leader *natsServer) {
		s.nats.network.cutOff(s.nats.number(leader))
	}, func(*natsServer) { s.nats.network.mend() })
}

// leaderHangs stops the server that leads the stream of events, without its connections being closed.
func leaderHangs(ctx context.Context, s *scene) error {
	s.note("stopped (SIGSTOP), and let go on %s after the others had", s.o.Away)
	return s.leaderAway(ctx, "the server that led, which hangs", func(leader *natsServer) {
		leader.Signal(syscall.SIGSTOP)
	}, func(leader *natsServer) { leader.Signal(syscall.SIGCONT) })
}

// leaderAway lets a leader go and come back. Replicas that are connected to it may lose what they serve to others before they find out.
func (s *scene) leaderAway(ctx context.Context, without string, leave, back func(*natsServer)) error {
	return s.midst(ctx, 1, func(int) error {
		leader, err := s.nats.usedLeader(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		leave(leader)
		s.excuses = append(s.excuses, Excuse{From: began.Add(-reach), Began: began, Over: began.Add(unlearned), Meanwhile: true})
		_, err = s.nats.leader(ctx, leader) // another one is elected
		if err == nil {
			err = s.goesOn(ctx, findOut, 0, 1, without)
		}
		if err == nil {
			err = s.pass(ctx)
		}
		back(leader)
		if err != nil {
			return err
		}
		return leader.healthy(ctx)
	})
}
