package outbound

import (
	"context"
	"sync"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// storePatience is how long a reader waits for what is being stored.
const storePatience = time.Second

// unstored is what TikTok answered to this process and the event log does not have yet: of each conversation, the answers under way.
type unstored struct {
	mu      sync.Mutex
	answers map[string]map[chan struct{}]struct{}
}

func newUnstored() *unstored { return &unstored{answers: map[string]map[chan struct{}]struct{}{}} }

// add counts an answer until stored is called.
func (u *unstored) add(conversation string) (stored func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	answer := make(chan struct{})
	if u.answers[conversation] == nil {
		u.answers[conversation] = map[chan struct{}]struct{}{}
	}
	u.answers[conversation][answer] = struct{}{}
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		close(answer)
		if delete(u.answers[conversation], answer); len(u.answers[conversation]) == 0 {
			delete(u.answers, conversation)
		}
	}
}

// of are the answers of a conversation that are under way.
func (u *unstored) of(conversation string) (answers []<-chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for answer := range u.answers[conversation] {
		answers = append(answers, answer)
	}
	return answers
}

// AwaitStored waits until the event log has what TikTok answered to this process about a conversation, so that who was given a message's id and
// reads finds it. An event log that does not store it within a second is waited for no longer.
func (s *Sender) AwaitStored(ctx context.Context, ch *v1alpha1.TiktokChannel, conversationID string) {
	answers := s.unstored.of(conversationKey(ch, conversationID))
	if len(answers) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	for _, answer := range answers {
		select {
		case <-answer:
		case <-ctx.Done():
			return
		}
	}
}

func conversationKey(ch *v1alpha1.TiktokChannel, conversationID string) string {
	return string(ch.UID) + "/" + conversationID
}
