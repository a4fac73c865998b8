package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Conversation is what an owner of the simulator sees of one.
type Conversation struct {
	ID       string    `json:"conversation"`
	Business string    `json:"business"`
	User     string    `json:"user"`
	Updated  time.Time `json:"updated"`
	// Images says whether the business may send images.
	Images bool `json:"images"`
	// UserMessages and LastUserMessage are the user's; SentSince are the business's after the latter, SentLate those after 48 hours of silence.
	UserMessages    int       `json:"userMessages"`
	LastUserMessage time.Time `json:"lastUserMessage"`
	SentSince       int       `json:"sentSince"`
	SentLate        int       `json:"sentLate"`
	// WindowCloses is 48 hours after the user's last message; zero if the user never wrote. MaySend is how many messages the business may
	// send now; -1 for as many as it likes.
	WindowCloses time.Time `json:"windowCloses"`
	MaySend      int       `json:"maySend"`
	// ReadByUser and ReadByBusiness are when either side marked it as read last; zero if never.
	ReadByUser     time.Time `json:"readByUser"`
	ReadByBusiness time.Time `json:"readByBusiness"`
	// Typing: the user sees that the business types.
	Typing bool `json:"typing"`
}

// Conversations of a business, the latest first.
func (s *Simulator) Conversations(business string) []Conversation {
	now := s.opts.Clock.Now()
	c := &s.conversations
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := []Conversation{}
	in := c.byBusiness[business]
	if in == nil {
		return out
	}
	for e := in.order.Front(); e != nil; e = e.Next() {
		conv := conversationIn(e)
		allowed := conv.allowance(now)
		out = append(out, Conversation{
			ID: conv.id, Business: business, User: conv.username, Updated: conv.updated, Images: !conv.noImages,
			UserMessages: conv.userCount, LastUserMessage: conv.lastUser, SentSince: conv.sinceUser, SentLate: conv.late,
			WindowCloses: allowed.closes, MaySend: allowed.left,
			ReadByUser: conv.readByUser, ReadByBusiness: conv.readByUs, Typing: now.Before(conv.typing),
		})
	}
	return out
}

// AllowImages says whether a business may send images into a conversation; from the start it may. false if there is no such conversation.
func (s *Simulator) AllowImages(business, conversationID string, allowed bool) bool {
	return s.conversations.change(business, conversationID, func(conv *conversation) { conv.noImages = !allowed })
}

func (s *Simulator) adminListConversations(r *http.Request) (any, error) {
	business := r.URL.Query().Get("business")
	if err := s.checkBusiness(business); err != nil {
		return nil, err
	}
	b, _ := s.accounts.find(business)
	return map[string]any{"conversations": s.Conversations(b.OpenID)}, nil
}

func (s *Simulator) adminSetConversation(r *http.Request) (any, error) {
	var in struct {
		Business     string `json:"business"`
		User         string `json:"user"`
		Conversation string `json:"conversation"`
		Images       *bool  `json:"images"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if err := s.checkBusiness(in.Business); err != nil {
		return nil, err
	}
	if in.Images == nil {
		return nil, errors.New("images is required: whether the business may send images")
	}
	b, _ := s.accounts.find(in.Business)
	id := cmp.Or(in.Conversation, conversationOf(b.OpenID, cmp.Or(in.User, "alice")))
	if !s.AllowImages(b.OpenID, id, *in.Images) {
		return nil, adminError{http.StatusNotFound, fmt.Errorf("the business has no conversation %q: send a message first", id)}
	}
	return done(), nil
}
