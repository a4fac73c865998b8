package tiktok

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a token, a code or an app secret. However it is printed, logged or marshalled, it says "[redacted]"; Reveal gives it.
// Two ways around that exist in Go: an unexported field that fmt prints, and the key of a map that becomes JSON. Use it for neither.
type Secret string

// Reveal returns the secret itself: for a request to TikTok, the token Secret, and nowhere else.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return redacted }

// Format implements fmt.Formatter for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON implements json.Marshaler.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalLog implements logr.Marshaler.
func (Secret) MarshalLog() any { return redacted }
