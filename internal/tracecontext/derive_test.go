package tracecontext_test

import (
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

func TestDerivedTracesAreTheirNames(t *testing.T) {
	x, y := tracecontext.Derive("x"), tracecontext.Derive("y")
	if x != tracecontext.Derive("x") || x.TraceID() == y.TraceID() || tracecontext.Parse(x.Parent(), "") != x {
		t.Errorf("got %s and %s", x.Parent(), y.Parent())
	}
}
