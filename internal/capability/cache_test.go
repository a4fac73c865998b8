package capability_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/business"
	"github.com/tiktok-operator/tiktok-operator/internal/capability"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// tikTok answers with a result, and remembers what it was asked.
type tikTok struct {
	url    string
	result any
	code   int
	err    error // of the session
	asked  []string
	told   []error
}

func (t *tikTok) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.asked = append(t.asked, r.URL.Query().Get("conversation_id")+" "+r.URL.Query().Get("conversation_type"))
	_ = json.NewEncoder(w).Encode(map[string]any{"code": t.code, "message": "x", "data": map[string]any{
		"capability_infos": []any{map[string]any{"capability_type": "IMAGE_SEND", "capability_result": t.result}},
	}})
}

func (t *tikTok) Session(context.Context, *v1alpha1.TiktokChannel) (*business.Session, error) {
	if t.err != nil {
		return nil, t.err
	}
	c, err := tiktok.NewClient(tiktok.Config{AppID: "app", AppSecret: "secret", APIEndpoint: t.url})
	return &business.Session{App: &v1alpha1.TiktokApp{}, Client: c, AccessToken: "token", BusinessID: "biz"}, err
}

func (t *tikTok) Throttled(_ *v1alpha1.TiktokApp, err error) time.Duration {
	t.told = append(t.told, err)
	return 0
}

func TestAnswersAreRemembered(t *testing.T) {
	asked := &tikTok{}
	server := httptest.NewServer(asked)
	defer server.Close()
	asked.url = server.URL
	clock := clocktesting.NewFakeClock(time.Now())
	c := capability.New(asked, asked, clock)
	ch := &v1alpha1.TiktokChannel{}
	ch.UID = "uid-1"
	want := func(conversation string, answered bool, want messaging.Capability, questions int) {
		t.Helper()
		if got := c.Images(t.Context(), ch, conversation, answered); got != want || len(asked.asked) != questions {
			t.Fatalf("got %q after %q, want %q after %d questions", got, asked.asked, want, questions)
		}
	}
	asked.result = true
	want("a+/=", false, messaging.CapabilityYes, 1)
	want("a+/=", true, messaging.CapabilityYes, 1)
	asked.result = false
	want("b", true, messaging.CapabilityNo, 2)
	if asked.asked[0] != "a+/= STRANGER" || asked.asked[1] != "b SINGLE" {
		t.Errorf("asked for %q", asked.asked)
	}
	clock.Step(59 * time.Minute)
	want("b", true, messaging.CapabilityNo, 2)
	clock.Step(2 * time.Minute)
	want("a+/=", true, messaging.CapabilityNo, 3)

	// What TikTok does not say is not known, for a shorter time.
	asked.result = "PERHAPS"
	want("c", true, messaging.CapabilityUnknown, 4)
	clock.Step(4 * time.Minute)
	want("c", true, messaging.CapabilityUnknown, 4)
	clock.Step(2 * time.Minute)
	asked.code = 40002
	want("c", true, messaging.CapabilityUnknown, 5)
	if last := asked.told[len(asked.told)-1]; tiktok.ClassOf(last) != tiktok.ClassPermanent {
		t.Errorf("the throttle was told %v", last)
	}
	other := ch.DeepCopy()
	other.UID = "uid-2"
	asked.code, asked.result = 0, true
	if got := c.Images(t.Context(), other, "c", true); got != messaging.CapabilityYes {
		t.Errorf("one channel's answer is taken for another's: %q", got)
	}
}

// Neither a channel without a token nor a caller that has gone says anything about a conversation.
func TestWhatIsNoAnswerIsNotRemembered(t *testing.T) {
	asked := &tikTok{result: true, err: errors.New("no token")}
	server := httptest.NewServer(asked)
	defer server.Close()
	asked.url = server.URL
	c := capability.New(asked, asked, nil)
	if got := c.Images(t.Context(), &v1alpha1.TiktokChannel{}, "a", true); got != messaging.CapabilityUnknown {
		t.Errorf("got %q", got)
	}
	asked.err = nil
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if got := c.Images(gone, &v1alpha1.TiktokChannel{}, "a", true); got != messaging.CapabilityUnknown {
		t.Errorf("got %q", got)
	}
	if got := c.Images(t.Context(), &v1alpha1.TiktokChannel{}, "a", true); got != messaging.CapabilityYes {
		t.Errorf("got %q", got)
	}
}
