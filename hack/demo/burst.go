package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

const (
	burstUsers    = 50
	burstMessages = 20 // of each user
	burstText     = "burst: message %d of user %d"
)

// burst sends messages of many users at once. The sink is stopped in the midst of that, and started again when all are sent.
func (g *guide) burst(ctx context.Context) error {
	all := burstUsers * burstMessages
	came := &arrivals{ids: map[string]bool{}}
	g.sink.collect(came)
	defer g.sink.collect(nil)
	say("%d users write %d messages each, all at once", burstUsers, burstMessages)
	begun := time.Now()
	sent := make(chan error, 1)
	go func() { sent <- g.writeAll(ctx) }()
	if err := program.Wait(ctx, time.Minute, "a third of the messages to arrive", func() (bool, error) {
		messages, _, _ := came.count()
		return messages >= all/3, nil
	}); err != nil {
		return errors.Join(err, <-sent)
	}
	g.sink.stop()
	before, _, _ := came.count()
	say("The sink is stopped: it has %d messages, and the others wait in the event log", before)
	if err := <-sent; err != nil {
		return err
	}
	say("All %d are sent, and acknowledged to TikTok, after %s. The sink is started again", all, time.Since(begun).Round(100*time.Millisecond))
	if err := g.sink.start(); err != nil {
		return err
	}
	if err := program.Wait(ctx, time.Minute, "all messages to arrive", func() (bool, error) {
		messages, _, _ := came.count()
		return messages >= all, nil
	}); err != nil {
		return err
	}
	messages, repeated, overtaken := came.count()
	say("Arrived: %d of %d messages in %d conversations, %d of them out of order, %d more than once (same id), after %s",
		messages, all, burstUsers, overtaken, repeated, time.Since(begun).Round(100*time.Millisecond))
	if overtaken > 0 {
		return fmt.Errorf("%d messages overtook another of their conversation", overtaken)
	}
	return nil
}

// writeAll lets the simulator send: all users at once, each user's next message when TikTok has an answer to the last one.
func (g *guide) writeAll(ctx context.Context) error {
	failures := make([]error, burstUsers)
	var wg sync.WaitGroup
	for user := range burstUsers {
		wg.Go(func() {
			for n := range burstMessages {
				text := fmt.Sprintf(burstText, n, user)
				if err := post(ctx, g.simulator+"/admin/events", fmt.Sprintf(`{"text":%q,"user":"user-%d"}`, text, user)); err != nil {
					failures[user] = err
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(failures...)
}

// arrivals are the messages of a burst, as a sink receives them.
type arrivals struct {
	mu        sync.Mutex
	ids       map[string]bool
	next      [burstUsers]int
	repeated  int
	overtaken int
}

// take notes a message by the event's id; it says whether the text is one of the burst.
func (a *arrivals) take(id, text string) bool {
	var n, user int
	if _, err := fmt.Sscanf(text, burstText, &n, &user); err != nil || user < 0 || user >= burstUsers {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ids[id] {
		a.repeated++ // a consumer drops it: it has this id
		return true
	}
	a.ids[id] = true
	if n != a.next[user] {
		a.overtaken++
	}
	a.next[user] = n + 1
	return true
}

func (a *arrivals) count() (messages, repeated, overtaken int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.ids), a.repeated, a.overtaken
}
