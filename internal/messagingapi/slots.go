package messagingapi

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
)

const (
	// maxDownloads are the downloads of media that a process has under way, and maxDownloadsOfOne those of one channel: one that many people read
	// leaves room for the others.
	maxDownloads, maxDownloadsOfOne = 64, 16
	// maxForms are the images that requests to send hold in memory, each up to maxForm bytes, and maxFormsOfOne those of one channel.
	maxForms, maxFormsOfOne = 32, 16
	// slotRetry is when a caller asks again.
	slotRetry = 2 * time.Second
)

// slots bound how much of something is under way at once.
type slots struct {
	total, ofOne int

	mu   sync.Mutex
	open int
	of   map[string]int // by channel UID
}

func newSlots(total, ofOne int) *slots {
	return &slots{total: total, ofOne: ofOne, of: map[string]int{}}
}

// take takes one for a channel, unless there is none. Whoever took it gives it back.
func (s *slots) take(channelUID string) (giveBack func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.total || s.of[channelUID] >= s.ofOne {
		return nil, false
	}
	s.open++
	s.of[channelUID]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
		if s.of[channelUID]--; s.of[channelUID] == 0 {
			delete(s.of, channelUID)
		}
	}, true
}

// tooMany says that there was none.
func (s *slots) tooMany(name, what string) error {
	return &problem.Error{Problem: problem.Problem{
		Name: name, Status: http.StatusServiceUnavailable, Title: "Too many " + what, RetryAfter: slotRetry,
		Detail: fmt.Sprintf("This replica has %d %s under way at most, and %d of one channel. Try again in a moment.", s.total, what, s.ofOne),
	}}
}
