package controllers

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// SuspectApps are apps whose credentials TikTok refused, or whose Secret was missing, when a channel was about to use them. Their channels
// stop calling at once; the app's reconciler is woken to look, and clears the suspicion.
type SuspectApps struct {
	mu    sync.Mutex
	names map[string]bool
	wake  chan event.TypedGenericEvent[*v1alpha1.TiktokApp]
}

// NewSuspectApps returns an empty set.
func NewSuspectApps() *SuspectApps {
	return &SuspectApps{names: map[string]bool{}, wake: make(chan event.TypedGenericEvent[*v1alpha1.TiktokApp], 1024)}
}

// Add suspects an app.
func (s *SuspectApps) Add(app string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names[app] {
		return
	}
	s.names[app] = true
	select {
	case s.wake <- event.TypedGenericEvent[*v1alpha1.TiktokApp]{Object: &v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: app}}}:
	default: // the app looks by itself within a minute
	}
}

// Contains says whether an app is suspected.
func (s *SuspectApps) Contains(app string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[app]
}

// Clear ends a suspicion and says whether there was one.
func (s *SuspectApps) Clear(app string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.names[app]
	delete(s.names, app)
	return was
}
