package fetch_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

const (
	conversations = "business/message/conversation/list/"
	contents      = "business/message/content/list/"
)

// TestFetchedMessagesAreOrdinaryOnes: of both lists, with awkward ids, marked, and with the id of the webhook that might come too.
func TestFetchedMessagesAreOrdinaryOnes(t *testing.T) {
	b := newBench(t)
	b.send(simulator.Event{User: "zoe", Text: "before", MessageID: "old"}) // comes by webhook, and
	b.send(simulator.Event{Event: "im_send_msg", User: "zoe", Text: "hello"})
	registry, _ := b.run()
	stranger, single := b.eu("ann", "Grüezi <mitenand> 👋"), b.eu("zoe", "after")
	if !strings.ContainsAny(stranger.ConversationID, "+/=") {
		t.Fatalf("conversation %q is too easy", stranger.ConversationID)
	}
	b.wantTexts(stranger.ConversationID, "Grüezi <mitenand> 👋")
	b.wantTexts(single.ConversationID, "before", "after")
	b.settled(registry, 2)

	for _, d := range []simulator.Delivery{stranger, single} { // a webhook with the message comes late
		b.send(simulator.Event{User: map[bool]string{true: "ann", false: "zoe"}[d == stranger], MessageID: d.MessageID, Conversation: d.ConversationID})
	}
	events, data := b.events()
	types := map[string]int{}
	for i, e := range events {
		types[e.Type]++
		if e.Type != cloudevent.TypeMessageReceived {
			continue
		}
		d := data[i]
		if fetched := d.MessageID != "old"; d.Fetched != fetched || strings.Contains(string(d.Raw), `"fetched":true`) != fetched {
			t.Errorf("fetched %v: %s", d.Fetched, e.Data)
		}
		if d.Event != "im_receive_msg" || d.BusinessID != business || d.Direction != cloudevent.Inbound || d.Kind != "text" || e.Subject != d.ConversationID ||
			d.Sender.Role != "personal_account" || d.Recipient.ID != business || d.Recipient.Username != "acme" || d.Undecodable {
			t.Errorf("event %+v: %s", e, e.Data)
		}
	}
	if types[cloudevent.TypeMessageReceived] != 3 || types[cloudevent.TypeMessageReceivedEU] != 2 || types[cloudevent.TypeMessageSent] != 1 {
		t.Errorf("types %v", types)
	}
}

// TestNothingIsDoubledOrLost: webhooks that repeat, two workers at once, jobs whose end was not recorded, attempts that break off.
func TestNothingIsDoubledOrLost(t *testing.T) {
	b := newBench(t)
	b.sim.InjectFault(simulator.Fault{Endpoint: contents, Times: 2, Status: 502})
	var mu sync.Mutex
	crashed := map[string]bool{}
	crash := func(j eventlog.Job, err error) error { // every job's first end is lost
		mu.Lock()
		defer mu.Unlock()
		if err == nil && !crashed[j.ID] {
			crashed[j.ID] = true
			return &eventlog.RetryError{Err: errors.New("the process died before the end was recorded")}
		}
		return err
	}
	for range 2 {
		b.work(clock.RealClock{}, b.apps(clock.RealClock{}), crash)
	}
	want := map[string][]string{}
	for i := range 15 {
		for _, user := range []string{"ann", "bob", "eve"} {
			text := fmt.Sprintf("%s %d", user, i)
			d := b.eu(user, text)
			want[d.ConversationID] = append(want[d.ConversationID], text)
		}
	}
	for conversation, texts := range want {
		b.wantTexts(conversation, texts...)
	}
	b.eventually("the end of all jobs", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(crashed) == 45
	})
	if n := len(b.texts("")); n != 45 {
		t.Errorf("%d messages, want 45", n)
	}
	// A process that starts anew, remembers nothing, and sees an event again.
	b.run()
	d := b.eu("ann", "last")
	want[d.ConversationID] = append(want[d.ConversationID], "last")
	b.eventually("the last message", func() bool { return len(b.texts("")) >= 46 })
	for conversation, texts := range want {
		b.wantTexts(conversation, texts...)
	}
}

// TestWhatWasMissedIsCaughtUpWith, and what is older than all that is known stays where it is.
func TestWhatWasMissedIsCaughtUpWith(t *testing.T) {
	const forgets = 100 * time.Millisecond // so that not the log's memory of duplicates keeps what it has from being doubled
	b := newBench(t, func(o *eventlog.Options) { o.DedupWindow = forgets })
	now := b.clock.Now()
	b.clock.SetTime(now.Add(-50 * time.Minute))
	b.setToken(b.sim.IssueToken(business).AccessToken, now.Add(time.Hour))
	missed := func(text string) {
		b.sim.SetWebhook("DIRECT_MESSAGE", "http://127.0.0.1:1/")
		b.send(simulator.Event{Event: "im_receive_msg_eu", User: "ann", Text: text, NoRetry: true})
		b.sim.SetWebhook("DIRECT_MESSAGE", b.webhooks)
	}
	missed("long ago")
	registry, _ := b.run()
	b.clock.SetTime(now.Add(-40 * time.Minute))
	d := b.eu("ann", "first")
	b.wantTexts(d.ConversationID, "first")
	time.Sleep(3 * forgets)
	b.clock.SetTime(now.Add(-20 * time.Minute))
	missed("second")
	b.clock.SetTime(now)
	b.eu("ann", "third")
	b.wantTexts(d.ConversationID, "first", "second", "third")
	b.settled(registry, 2)
	if n := count(t, registry, "incomplete"); n != 0 {
		t.Errorf("%v incomplete", n)
	}
}

// TestListsNeedNotBeginWithTheNewest: nobody says in which order TikTok lists conversations, so that a page of old ones alone is no end.
func TestListsNeedNotBeginWithTheNewest(t *testing.T) {
	b := newBench(t)
	sim := b.front.Handler
	b.front.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		switch query.Get("cursor") {
		case "":
			if strings.HasSuffix(r.URL.Path, "/"+conversations) {
				day := func(ago int) int64 { return b.clock.Now().AddDate(0, 0, -ago).UnixMilli() }
				_, _ = fmt.Fprintf(w, `{"code":0,"message":"OK","data":{"has_more":true,"cursor":"second","conversations":[
					{"conversation_id":"older","update_time":%d},{"conversation_id":"old","update_time":%d}]}}`, day(60), day(50))
				return
			}
		case "second":
			query.Del("cursor")
			r.URL.RawQuery = query.Encode()
		}
		sim.ServeHTTP(w, r)
	})
	d := b.eu("ann", "hello")
	b.run()
	b.wantTexts(d.ConversationID, "hello")
}

// TestTwentyIsAllThatTikTokShows: what is beyond cannot be had, and that is said.
func TestTwentyIsAllThatTikTokShows(t *testing.T) {
	b := newBench(t)
	var d simulator.Delivery
	var want []string
	for i := range 25 {
		text := fmt.Sprint("message ", i)
		if d = b.eu("ann", text); i >= 5 {
			want = append(want, text)
		}
	}
	registry, _ := b.run()
	b.wantTexts(d.ConversationID, want...)
	b.settled(registry, 25)
	// Those that cannot be had and, if its message was shown, the one that found that out.
	if n := count(t, registry, "incomplete"); n != 5 && n != 6 {
		t.Errorf("%v incomplete, want 5 or 6", n)
	}
	if n := count(t, registry, "nothing"); n != 0 {
		t.Errorf("%v found nothing, want 0", n)
	}
	if n := b.sim.CountCalls(contents); n > 2 {
		t.Errorf("%d calls for one conversation: what did not change is read again", n)
	}
}

// TestJobsWaitForAToken: missing, expired, refused. Nothing is marked, and a refused one is shown to TikTok once.
func TestJobsWaitForAToken(t *testing.T) {
	b := newBench(t)
	b.setToken("", time.Time{}.AddDate(2000, 0, 0))
	registry, _ := b.run()
	waits := func(why string) {
		t.Helper()
		before := count(t, registry, "no_token")
		b.eventually("waiting for a token: "+why, func() bool { return count(t, registry, "no_token") >= before+3 })
	}
	d := b.eu("ann", "hi")
	waits("none")
	b.setToken(b.sim.IssueToken(business).AccessToken, time.Now().Add(-time.Second))
	waits("expired")
	if n := b.sim.CountCalls(""); n != 0 {
		t.Errorf("%d calls without a token that works", n)
	}
	b.setToken("act.wrong", time.Now().Add(time.Hour))
	waits("refused")
	refused := slices.DeleteFunc(b.sim.Calls(""), func(c simulator.Call) bool { return c.Code != 40105 })
	if len(refused) != 1 {
		t.Errorf("the refused token was shown %d times", len(refused))
	}
	b.setToken(b.sim.IssueToken(business).AccessToken, time.Now().Add(time.Hour))
	b.wantTexts(d.ConversationID, "hi")
}

// TestThrottlingPausesTheApp: for everybody who shares the limiter, and for as long as TikTok takes.
func TestThrottlingPausesTheApp(t *testing.T) {
	b := newBench(t)
	b.sim.InjectFault(simulator.Fault{Endpoint: conversations, Times: 1, Code: 40100})
	still := clocktesting.NewFakeClock(time.Now())
	registry, stop := b.work(still, b.apps(still), nil)
	d := b.eu("ann", "hi")
	if retry := <-b.retries; retry.After != 5*time.Minute {
		t.Errorf("the next attempt is after %s", retry.After)
	}
	b.eventually("more attempts", func() bool { return count(t, registry, "rate_limited") >= 3 })
	if n := b.sim.CountCalls(""); n != 1 {
		t.Errorf("%d calls during the pause", n)
	}
	stop()
	b.run() // later
	b.wantTexts(d.ConversationID, "hi")
}

// TestWhatTikTokRefusesIsGivenUp: the event that told of it remains. One conversation that is not shown does not cost the others.
func TestWhatTikTokRefusesIsGivenUp(t *testing.T) {
	b := newBench(t)
	b.sim.InjectFault(simulator.Fault{Endpoint: conversations, Times: 1, Code: 40002})
	registry, _ := b.run()
	b.eu("ann", "never seen")
	b.settled(registry, 1)
	if n := count(t, registry, "refused"); n != 1 || len(b.texts("")) != 0 {
		t.Errorf("%v refused; messages %q", n, b.texts(""))
	}
	if events, _ := b.events(); len(events) != 1 || events[0].Type != cloudevent.TypeMessageReceivedEU {
		t.Errorf("events %+v", events)
	}
	b.sim.InjectFault(simulator.Fault{Endpoint: contents, Times: 1, Code: 40007})
	d := b.eu("eve", "hi") // Ann's conversation is listed too
	b.wantTexts(d.ConversationID, "hi")
	b.settled(registry, 2)
	if n := count(t, registry, "incomplete"); n != 1 {
		t.Errorf("%v incomplete, want 1", n)
	}
}

// TestNothingToFind: a list that does not show the message yet is read again, and at last given up.
func TestNothingToFind(t *testing.T) {
	b := newBench(t)
	registry, _ := b.run()
	b.send(simulator.Event{Event: "im_receive_msg_eu", Content: []byte(fmt.Sprintf(`{"to":"acme","to_user":{"id":"biz-0001"},"timestamp":%d}`, time.Now().UnixMilli()))})
	b.settled(registry, 1)
	if n, again := count(t, registry, "nothing"), count(t, registry, "nothing_yet"); n != 1 || again != 5 {
		t.Errorf("nothing %v, after %v more attempts", n, again)
	}
	if err := b.cluster.Delete(t.Context(), b.channel()); err != nil {
		t.Fatal(err)
	}
	if err := b.log.AddJob(t.Context(), eventlog.Job{Kind: "fetch", Record: eventlog.Record{ID: "x", App: "app", BusinessID: business, ChannelUID: uid}}); err != nil {
		t.Fatal(err)
	}
	b.eventually("looking for a channel that may be gone", func() bool { return count(t, registry, "gone") >= 12 })
}
