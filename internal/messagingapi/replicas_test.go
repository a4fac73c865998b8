package messagingapi_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog/eventlogtest"
	"github.com/tiktok-operator/tiktok-operator/internal/messagingapi"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound/outboundtest"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// TestReplicas: of two replicas on a NATS cluster, each knows what the other did.
func TestReplicas(t *testing.T) {
	cluster := eventlogtest.Cluster(t)
	open := func() *eventlog.Log {
		var log *eventlog.Log
		var err error
		for range 30 { // a young cluster is still choosing its leaders
			if log, err = eventlog.Open(t.Context(), eventlog.Options{URL: cluster, Replicas: 3}); err == nil {
				t.Cleanup(func() { _ = log.Close() })
				return log
			}
		}
		t.Fatal(err)
		return nil
	}
	bench := outboundtest.NewOn(t, open())
	one, two := serveReadingOn(t, bench), serveReadingOn(t, bench.Replica(open()))

	key := map[string]string{"Idempotency-Key": "order-66"}
	const body = `{"text":"It is on its way."}`
	stream := two.listen("", "")
	sent := one.send(body, key).message(t)
	again := two.send(body, key)
	if again.header.Get(messagingapi.ReplayedHeader) != "true" || again.message(t).ID != sent.ID {
		t.Errorf("the other replica answers the same key with %s, not with the message %s", again.body, sent.ID)
	}
	bench.WantArrived(1)
	bench.Eventually("the message at the other replica", func() bool {
		return two.get("/conversations/"+url.PathEscape(bench.Conversation)+"/messages/"+sent.ID).status == http.StatusOK
	})
	var list messagingapi.ConversationList
	if got := two.get("/conversations"); json.Unmarshal(got.body, &list) != nil || len(list.Items) != 1 || list.Items[0].ID != bench.Conversation {
		t.Errorf("the other replica lists %s", got.body)
	}

	var last shown
	for last.event != cloudevent.TypeMessageSent { // the echo of what the first replica sent
		last = stream.next()
	}
	stream.stop()
	one.tell(simulator.Event{Text: "thank you"})
	resumed := one.listen("", last.id) // where the stream of the other replica ended
	for e := resumed.next(); !strings.Contains(e.data, "thank you"); e = resumed.next() {
		if e.event != cloudevent.TypeMessageStatus {
			t.Errorf("the resumed stream has %+v", e)
		}
	}

	var answers [2]reply
	var both sync.WaitGroup
	for i, s := range []*reading{one, two} {
		both.Go(func() { answers[i] = s.send(body, map[string]string{"Idempotency-Key": "order-67"}) })
	}
	both.Wait()
	if first, second := answers[0].message(t).ID, answers[1].message(t).ID; first == "" || first != second {
		t.Errorf("two replicas at once made %q and %q of one key", first, second)
	}
	bench.WantArrived(1) // the user has written since the first
}
