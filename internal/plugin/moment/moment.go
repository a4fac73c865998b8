// Package moment is flags that name a time: as RFC 3339 has it, or by how long ago it was.
package moment

import (
	"errors"
	"net/url"
	"time"

	"k8s.io/utils/clock"
)

// Flag is such a flag.
type Flag struct {
	clock clock.PassiveClock
	text  string
	at    time.Time
}

// New returns a flag that names no time yet.
func New(c clock.PassiveClock) *Flag { return &Flag{clock: c} }

// String implements pflag.Value.
func (f *Flag) String() string { return f.text }

// Set implements pflag.Value.
func (f *Flag) Set(text string) error {
	ago, err := time.ParseDuration(text)
	switch {
	case err == nil && ago >= 0:
		f.at = f.clock.Now().Add(-ago)
	default:
		if f.at, err = time.Parse(time.RFC3339, text); err != nil {
			return errors.New("a time is 2026-08-01T10:00:00Z, or how long ago it was, such as 90m")
		}
	}
	f.text = text
	return nil
}

// Type implements pflag.Value.
func (*Flag) Type() string { return "time" }

// AddTo adds the time to what is asked of the private API, if one was named.
func (f *Flag) AddTo(query url.Values, name string) {
	if !f.at.IsZero() {
		query.Set(name, f.at.UTC().Format(time.RFC3339Nano))
	}
}
