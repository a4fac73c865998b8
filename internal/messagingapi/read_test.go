package messagingapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/messagingapi"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound/outboundtest"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

func TestConversationsAreListedInPages(t *testing.T) {
	s := serveReading(t)
	ids := []string{s.Conversation}
	for i := range 4 {
		ids = append(ids, s.tell(simulator.Event{User: fmt.Sprint("user", i), Text: "hi"}).ConversationID)
	}
	slices.Reverse(ids)
	var all messagingapi.ConversationList
	s.into("/conversations", &all)
	got := func(list messagingapi.ConversationList) (ids []string) {
		for _, c := range list.Items {
			ids = append(ids, c.ID)
		}
		return ids
	}
	if !slices.Equal(got(all), ids) || all.Continue != "" {
		t.Fatalf("got %q %q, want %q", got(all), all.Continue, ids)
	}
	if c := all.Items[0]; c.User == nil || c.User.Username != "user3" || c.LastMessage == nil || !c.Window.Open || c.Images != "" {
		t.Errorf("got %+v", c)
	}

	var first, second messagingapi.ConversationList
	s.into("/conversations?limit=3", &first)
	s.tell(simulator.Event{User: "late", Text: "hi"})
	s.into("/conversations?limit=3&continue="+url.QueryEscape(first.Continue), &second)
	if !slices.Equal(append(got(first), got(second)...), ids) || second.Continue != "" {
		t.Errorf("got %q and %q (%q), want %q", got(first), got(second), second.Continue, ids)
	}
}

func TestRequestsThatAreNotUnderstood(t *testing.T) {
	s := serveReading(t)
	conversation := "/conversations/" + url.PathEscape(s.Conversation)
	for _, query := range []string{
		"limit=0", "limit=101", "limit=-1", "limit=x", "limit=", "limit=1&limit=2", "page=2", "continue=x", "continue=0-0", "continue=1-zz",
		"continue=18446744073709551616-1", "continue=%00",
	} {
		s.wantProblem("/conversations?"+query, http.StatusBadRequest, "invalid-request")
		s.wantProblem(conversation+"/messages?"+query, http.StatusBadRequest, "invalid-request")
	}
	for _, path := range []string{conversation, conversation + "/messages/x", conversation + "/messages/x/media", "/events"} {
		if detail := s.wantProblem(path+"?since2=x", http.StatusBadRequest, "invalid-request"); !strings.Contains(detail, "since2") {
			t.Errorf("%s: %s", path, detail)
		}
	}
}

func TestOneConversation(t *testing.T) {
	s := serveReading(t)
	if !strings.ContainsAny(s.Conversation, "+/=") {
		t.Fatalf("the conversation %q is too plain for this test", s.Conversation)
	}
	path := "/conversations/" + url.PathEscape(s.Conversation)
	if !strings.Contains(path, "%2F") && strings.Contains(s.Conversation, "/") {
		t.Fatal(path)
	}
	var c messagingapi.Conversation
	s.into(path, &c)
	if c.ID != s.Conversation || c.Images != "yes" || c.User == nil || c.LastMessage == nil || !c.Window.Known {
		t.Fatalf("got %+v", c)
	}
	if asked := s.Sim.CountCalls(capabilityPath); asked == 0 {
		t.Fatal("TikTok was not asked")
	} else if s.into(path, &c); s.Sim.CountCalls(capabilityPath) != asked {
		t.Fatal("TikTok was asked again")
	}
	for _, id := range []string{
		"nobody", "a%2Fb", "%00", "..%2F..%2F", "%C3%BC", strings.Repeat("x", 600), url.PathEscape(s.Conversation + " "), "*", "%3E", "_",
	} {
		s.wantProblem("/conversations/"+id, http.StatusNotFound, "not-found")
		s.wantProblem("/conversations/"+id+"/messages", http.StatusNotFound, "not-found")
		s.wantProblem("/conversations/"+id+"/messages/x/media", http.StatusNotFound, "not-found")
	}
	s.url = strings.Replace(s.url, "/main", "/other", 1)
	for _, p := range []string{"/conversations", path, path + "/messages", path + "/messages/x", path + "/messages/x/media", "/events"} {
		s.wantProblem(p, http.StatusNotFound, "not-found")
	}
}

// What TikTok does not say is unknown, and no error of the caller's.
func TestImagesAreUnknownWhereTikTokDoesNotSay(t *testing.T) {
	s := serveReading(t)
	s.SetToken("not-a-token")
	var c messagingapi.Conversation
	s.into("/conversations/"+url.PathEscape(s.Conversation), &c)
	if c.Images != "unknown" {
		t.Errorf("images: %q", c.Images)
	}
}

func TestMessagesAreListedInPages(t *testing.T) {
	s := serveReading(t)
	for i := range 5 {
		s.tell(simulator.Event{Text: fmt.Sprint("text ", i)})
	}
	path := "/conversations/" + url.PathEscape(s.Conversation) + "/messages"
	texts := func(list messagingapi.MessageList) (texts []string) {
		for _, m := range list.Items {
			texts = append(texts, *m.Data.Text)
		}
		return texts
	}
	var first, second messagingapi.MessageList
	s.into(path+"?limit=4", &first)
	s.tell(simulator.Event{Text: "meanwhile"})
	s.into(path+"?limit=4&continue="+first.Continue, &second)
	want := []string{"text 4", "text 3", "text 2", "text 1", "text 0", "is anybody there?", "hello"}
	if got := append(texts(first), texts(second)...); !slices.Equal(got, want) || second.Continue != "" {
		t.Errorf("got %q (%q), want %q", got, second.Continue, want)
	}
	if body := s.get(path).body; strings.Contains(string(body), `"raw"`) {
		t.Errorf("a list shows TikTok's envelopes: %s", body)
	}

	var one messagingapi.Message
	s.into(path+"/"+first.Items[0].ID, &one)
	if one.ID != first.Items[0].ID || *one.Data.Text != "text 4" {
		t.Errorf("got %+v", one)
	}
	for _, id := range []string{"1", "x%2Fy", "%20", "%00"} {
		s.wantProblem(path+"/"+id, http.StatusNotFound, "not-found")
	}
	// A message that was sent is found by TikTok's id and by the operator's.
	// Another process sends it: this one is not the one that would wait until it is stored.
	sender := s.Sender(changeNothing)
	sent, err := s.Send(sender, s.Request("key", "answer"))
	if err != nil {
		t.Fatal(err)
	}
	sender.AwaitStored(t.Context(), outboundtest.Channel(), s.Conversation)
	for _, id := range []string{sent.SendID, sent.MessageID} {
		s.into(path+"/"+id, &one)
		if one.SendID != sent.SendID || one.IdempotencyKey != "key" {
			t.Errorf("%s: %+v", id, one)
		}
	}
}
