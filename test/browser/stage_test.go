package browser_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

const business = "biz-0001"

// stage is a simulator, an app that listens to its webhooks, and a business that answers through its API. Time is in the test's hands.
type stage struct {
	*testing.T
	sim       *simulator.Simulator
	clock     *clocktesting.FakeClock
	url, host string
	token     string
	// callback is where webhooks go.
	callback string

	mu    sync.Mutex
	hooks []string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{T: t, clock: clocktesting.NewFakeClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	s.sim = simulator.New(simulator.Options{Clock: s.clock})
	server := httptest.NewServer(s.sim)
	app := httptest.NewServer(http.HandlerFunc(s.hear))
	t.Cleanup(func() { s.sim.Close(); server.Close(); app.Close() })
	s.url, s.host, s.callback = server.URL, strings.TrimPrefix(server.URL, "http://"), app.URL+"/"
	s.listens(true)
	s.renew()
	return s
}

// renew gives the business an access token.
func (s *stage) renew() { s.token = s.sim.IssueToken(business).AccessToken }

// listens says whether the app has registered its webhook.
func (s *stage) listens(yes bool) {
	callback := ""
	if yes {
		callback = s.callback
	}
	s.sim.SetWebhook("DIRECT_MESSAGE", callback)
}

func (s *stage) hear(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(s.hooks, string(body))
}

// heard tells whether a webhook came that holds all of the words. What the user does is told before the page answers.
func (s *stage) heard(words ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
next:
	for _, hook := range s.hooks {
		for _, word := range words {
			if !strings.Contains(hook, word) {
				continue next
			}
		}
		return true
	}
	return false
}

// page is the address of a user's page.
func (s *stage) page(user string) string {
	return s.url + "/user?" + url.Values{"business": {business}, "user": {user}}.Encode()
}

// conversation is the id of the one with a user.
func (s *stage) conversation(user string) string {
	s.Helper()
	for _, conv := range s.sim.Conversations(business) {
		if conv.User == user {
			return conv.ID
		}
	}
	s.Fatalf("there is no conversation with %q", user)
	return ""
}

// answers sends a message of the business and returns TikTok's code, and the message's id if there is one.
func (s *stage) answers(user string, message map[string]any) (code int, id string) {
	s.Helper()
	message["business_id"], message["recipient_type"], message["recipient"] = business, "CONVERSATION", s.conversation(user)
	body, err := json.Marshal(message)
	if err != nil {
		s.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.Context(), http.MethodPost, s.url+"/open_api/v1.3/business/message/send/", bytes.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Access-Token", s.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	var out struct {
		Code int
		Data struct {
			Message struct {
				ID string `json:"message_id"`
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		s.Fatal(err)
	}
	return out.Code, out.Data.Message.ID
}

// says sends a text of the business.
func (s *stage) says(user, text string) string {
	s.Helper()
	code, id := s.answers(user, map[string]any{"message_type": "TEXT", "text": map[string]any{"body": text}})
	if code != 0 {
		s.Fatalf("the business cannot send %q: code %d", text, code)
	}
	return id
}

// asks sends a card with buttons.
func (s *stage) asks(user, title string, labels ...string) string {
	s.Helper()
	var buttons []any
	for i, label := range labels {
		buttons = append(buttons, map[string]any{"type": "REPLY", "title": label, "id": fmt.Sprintf("button-%d", i)})
	}
	code, id := s.answers(user, map[string]any{
		"message_type": "TEMPLATE", "template": map[string]any{"type": "QA_LINK_CARD", "title": title, "buttons": buttons},
	})
	if code != 0 {
		s.Fatalf("the business cannot ask %q: code %d", title, code)
	}
	return id
}

// begin lets a user write the first message, without the page.
func (s *stage) begin(user, text string) {
	s.Helper()
	if _, err := s.sim.SendEvent(s.Context(), simulator.Event{User: user, Text: text}); err != nil {
		s.Fatal(err)
	}
}
