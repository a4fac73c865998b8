package tracecontext

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
)

// Names of the headers.
const (
	ParentHeader = "Traceparent"
	StateHeader  = "Tracestate"
)

const (
	version      = "00"
	parentLength = len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-00")
	// flagSampled says that the caller may have recorded the trace. No other flag is defined for all versions.
	flagSampled = 1
)

// Context is the place in a trace that a request has. The zero value is none; others come from this package only, and are valid.
type Context struct {
	trace [16]byte
	span  [8]byte
	flags byte
	state string
}

// New begins a trace. It is marked as sampled: receivers decide by that flag whether they record, and without it most would not.
func New() Context {
	c := Context{flags: flagSampled}
	_, _ = rand.Read(c.trace[:]) // never fails: the process ends rather than going on without randomness
	return c.Child()
}

// Child is another place in the same trace.
func (c Context) Child() Context {
	for c.span = [8]byte{}; c.span == [8]byte{}; {
		_, _ = rand.Read(c.span[:])
	}
	return c
}

// IsZero says that there is no trace.
func (c Context) IsZero() bool { return c.trace == [16]byte{} }

// At is a place in a trace; none if an id is all zeros. A state that is not valid is left out.
func At(trace [16]byte, span [8]byte, sampled bool, state string) Context {
	c := Context{trace: trace, span: span}
	if c.IsZero() || span == [8]byte{} {
		return Context{}
	}
	if sampled {
		c.flags = flagSampled
	}
	c.state = parseState(state)
	return c
}

// TraceIDBytes is the id of the trace.
func (c Context) TraceIDBytes() [16]byte { return c.trace }

// SpanIDBytes is the id of the place.
func (c Context) SpanIDBytes() [8]byte { return c.span }

// Sampled says that the caller may have recorded the trace.
func (c Context) Sampled() bool { return c.flags&flagSampled != 0 }

// TraceID identifies the trace, in hexadecimal; "" if there is none.
func (c Context) TraceID() string {
	if c.IsZero() {
		return ""
	}
	return hex.EncodeToString(c.trace[:])
}

// Parent is the value of traceparent; "" if there is no trace.
func (c Context) Parent() string {
	if c.IsZero() {
		return ""
	}
	return strings.Join([]string{version, hex.EncodeToString(c.trace[:]), hex.EncodeToString(c.span[:]), hex.EncodeToString([]byte{c.flags})}, "-")
}

// State is the value of tracestate; "" if there is none.
func (c Context) State() string { return c.state }

// Set writes the headers.
func (c Context) Set(h http.Header) {
	if c.IsZero() {
		return
	}
	h.Set(ParentHeader, c.Parent())
	if c.state != "" {
		h.Set(StateHeader, c.state)
	}
}

// FromHeader reads the headers. Without one valid traceparent there is no trace; a tracestate that is not valid is left out.
func FromHeader(h http.Header) Context {
	parents := h.Values(ParentHeader)
	if len(parents) != 1 {
		return Context{}
	}
	return Parse(parents[0], strings.Join(h.Values(StateHeader), ","))
}

// Parse reads the values of traceparent and tracestate as FromHeader does.
func Parse(parent, state string) Context {
	c, ok := parseParent(parent)
	if !ok {
		return Context{}
	}
	c.state = parseState(state)
	return c
}

// parseParent reads version-trace-parent-flags. A later version may have more after a further hyphen; of its flags, only sampled is known.
func parseParent(s string) (Context, bool) {
	if len(s) < parentLength || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return Context{}, false
	}
	switch later := s[:2] != version; {
	case s[:2] == "ff", !later && len(s) > parentLength, len(s) > parentLength && s[parentLength] != '-':
		return Context{}, false
	}
	var c Context
	var v, flags [1]byte
	if !decode(v[:], s[:2]) || !decode(c.trace[:], s[3:35]) || !decode(c.span[:], s[36:52]) || !decode(flags[:], s[53:55]) {
		return Context{}, false
	}
	if c.IsZero() || c.span == [8]byte{} {
		return Context{}, false
	}
	c.flags = flags[0] & flagSampled
	return c, true
}

// decode reads lower-case hexadecimal, which the standard asks for; encoding/hex takes both.
func decode(into []byte, s string) bool {
	if strings.ContainsAny(s, "ABCDEF") {
		return false
	}
	_, err := hex.Decode(into, []byte(s))
	return err == nil
}
