package fetch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// conversationOf is the id of a user's conversation.
func (b *bench) conversationOf(user string) string {
	b.Helper()
	b.sim.SetWebhook("DIRECT_MESSAGE", "http://127.0.0.1:1/")
	defer b.sim.SetWebhook("DIRECT_MESSAGE", b.webhooks)
	return b.send(simulator.Event{Event: "im_mark_read_msg", User: user, NoRetry: true}).ConversationID
}

// TestAnotherUsersMessageIsNotTheOneThatIsMissing: while TikTok does not list a conversation yet, what others wrote at the same time ends no
// search but their own; whoever does the jobs.
func TestAnotherUsersMessageIsNotTheOneThatIsMissing(t *testing.T) {
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			b := newBench(t)
			late := b.conversationOf("ann")
			b.front.hide(late)
			b.front.onList = func(listed int) {
				if listed >= 6 { // of both lists, three times
					b.front.show()
				}
			}
			d := b.eu("ann", "late")
			if d.ConversationID != late {
				t.Fatalf("the conversation is %s, not %s", d.ConversationID, late)
			}
			others := map[string]string{}
			for _, user := range []string{"bob", "eve", "zoe"} {
				others[user] = b.eu(user, user).ConversationID
			}
			var registries []*prometheus.Registry
			for range workers {
				registry, _ := b.run()
				registries = append(registries, registry)
			}
			b.wantTexts(late, "late")
			for user, conversation := range others {
				b.wantTexts(conversation, user)
			}
			b.eventually("the end of all jobs", func() bool {
				found := 0.0
				for _, registry := range registries {
					found += count(t, registry, "fetched") + count(t, registry, "shared")
				}
				return found == 4
			})
		})
	}
}

// TestWhatIsListedAfterAllAttemptsIsCaughtUpWith: with the next message of anybody, or, if the process that missed it is gone, of that user.
func TestWhatIsListedAfterAllAttemptsIsCaughtUpWith(t *testing.T) {
	for name, anew := range map[string]bool{"by the same process": false, "by another process": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			now := b.clock.Now()
			b.clock.SetTime(now.Add(-30 * time.Minute))
			b.setToken(b.sim.IssueToken(business).AccessToken, now.Add(time.Hour))
			registry, stop := b.run()
			late := b.conversationOf("ann")
			b.front.hide(late)
			b.eu("ann", "one")
			b.eventually("giving up", func() bool { return count(t, registry, "nothing") == 1 })
			if n := count(t, registry, "fetched"); n != 0 {
				t.Errorf("%v fetched", n)
			}
			b.front.show()
			b.clock.SetTime(now.Add(-10 * time.Minute))
			if !anew {
				d := b.eu("bob", "hi")
				b.wantTexts(d.ConversationID, "hi")
				b.wantTexts(late, "one")
				return
			}
			stop()
			b.run()
			b.eu("ann", "two")
			b.wantTexts(late, "one", "two")
		})
	}
}

// TestABusyChannelHoldsNoOtherUp: its jobs wait for each other, but not in the places of others' jobs.
func TestABusyChannelHoldsNoOtherUp(t *testing.T) {
	b := newBench(t)
	const another = "biz-0002"
	ch := b.channel()
	ch.Name, ch.UID, ch.Status.BusinessID = "second", "uid-2", another
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: ch.TokenSecretName(), Labels: map[string]string{v1alpha1.ChannelLabel: ch.Name},
		},
		Type: v1alpha1.TokenSecretType,
		Data: map[string][]byte{
			"access_token": []byte(b.sim.IssueToken(another).AccessToken), "refresh_token": []byte("rft.x"), "business_id": []byte(another),
			"access_token_expires_at": []byte(time.Now().Add(time.Hour).UTC().Format(time.RFC3339)),
		},
	}
	if err := errors.Join(b.cluster.Create(t.Context(), ch), b.cluster.Create(t.Context(), secret)); err != nil {
		t.Fatal(err)
	}
	release := b.front.hold(business)
	defer release()
	var want []string
	var d simulator.Delivery
	for i := range 19 { // more jobs than are worked on at once, and no more messages than TikTok shows
		want = append(want, fmt.Sprint("message ", i))
		d = b.eu("ann", want[i])
	}
	registry, _ := b.run()
	b.clock.Step(time.Millisecond)
	b.send(simulator.Event{Event: "im_receive_msg_eu", Business: another, User: "bob", Text: "hi"})
	b.eventually("the other channel's message", func() bool { return count(t, registry, "fetched") == 1 })
	if n := len(b.texts("")); n != 0 {
		t.Errorf("%d messages of the busy channel came before", n)
	}
	release()
	b.wantTexts(d.ConversationID, want...)
	b.settled(registry, 20)
	if n := count(t, registry, "nothing") + count(t, registry, "incomplete"); n != 0 {
		t.Errorf("%v were given up: to be turned away is no attempt", n)
	}
}

// TestTimesThatDifferALittle: TikTok may give a message another time than its event; then a second look decides.
func TestTimesThatDifferALittle(t *testing.T) {
	b := newBench(t)
	at := time.Now().Add(-time.Minute)
	b.clock.SetTime(at)
	b.setToken(b.sim.IssueToken(business).AccessToken, time.Now().Add(time.Hour))
	b.sim.SetWebhook("DIRECT_MESSAGE", "http://127.0.0.1:1/")
	d := b.send(simulator.Event{Event: "im_receive_msg_eu", User: "ann", Text: "hi", NoRetry: true})
	b.sim.SetWebhook("DIRECT_MESSAGE", b.webhooks)
	content, err := json.Marshal(map[string]any{"to": "acme", "to_user": map[string]any{"id": business}, "timestamp": at.UnixMilli() + 700})
	if err != nil {
		t.Fatal(err)
	}
	b.send(simulator.Event{Event: "im_receive_msg_eu", Content: content})
	registry, _ := b.run()
	b.wantTexts(d.ConversationID, "hi")
	b.settled(registry, 1)
	if fetched, again := count(t, registry, "fetched"), count(t, registry, "nothing_yet"); fetched != 1 || again != 1 {
		t.Errorf("%v fetched after %v more attempts", fetched, again)
	}
}
