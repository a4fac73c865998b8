package oauth_test

import (
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
)

func clientScheme(s *runtime.Scheme) error { return clientgoscheme.AddToScheme(s) }

// realTimers is the part of clock.Clock that waits.
type realTimers struct{}

func (realTimers) After(d time.Duration) <-chan time.Time { return clock.RealClock{}.After(d) }
func (realTimers) NewTimer(d time.Duration) clock.Timer   { return clock.RealClock{}.NewTimer(d) }
func (realTimers) Sleep(d time.Duration)                  { clock.RealClock{}.Sleep(d) }
func (realTimers) Tick(d time.Duration) <-chan time.Time  { return clock.RealClock{}.Tick(d) }
