package eventlog_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog/eventlogtest"
)

// A watch that is told of nothing ends, so that another one begins, although the server says each second that it watches.
func TestAWatchThatIsToldOfNothingEnds(t *testing.T) {
	t.Parallel()
	url := eventlogtest.Server(t, &server.Options{}).ClientURL()
	_, js := admin(t, url)
	l := open(t, eventlog.Options{URL: url})
	store(t, l, "ch", "c", 1)
	told, ended := make(chan uint64, 100), make(chan error, 1)
	watch := func() {
		ready := make(chan struct{})
		go func() {
			ended <- l.Watch(t.Context(), func() { close(ready) }, func(_ string, sequence uint64) { told <- sequence })
		}()
		<-ready
	}
	watch()
	store(t, l, "ch", "d", 1)
	if got := <-told; got != 2 {
		t.Fatalf("told of %d", got)
	}
	stream, err := js.Stream(t.Context(), eventsStream)
	if err != nil {
		t.Fatal(err)
	}
	for consumer := range stream.ConsumerNames(t.Context()).Name() {
		if _, err := js.PauseConsumer(t.Context(), eventsStream, consumer, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	store(t, l, "ch", "e", 1)
	select {
	case err := <-ended:
		var unavailable *eventlog.UnavailableError
		if !errors.As(err, &unavailable) {
			t.Fatalf("the watch ended with %v", err)
		}
	case got := <-told:
		t.Fatalf("told of %d, which was to be kept back", got)
	case <-time.After(patience):
		t.Fatal("the watch goes on")
	}
	watch()
	store(t, l, "ch", "f", 1)
	if got := <-told; got != 4 {
		t.Errorf("told of %d", got)
	}
}
