package process_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/process"
)

func TestMainTellsErrorsInOneLine(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for name, tc := range map[string]struct {
		ctx  context.Context
		err  error
		code int
		says string
	}{
		"success":           {},
		"help":              {err: flag.ErrHelp},
		"failure":           {err: errors.New("it broke"), code: 1, says: "prog: it broke\n"},
		"several":           {err: errors.Join(errors.New("one"), errors.New("two")), code: 1, says: "prog: one; two\n"},
		"invalid":           {err: process.Invalid("--flag: %w", errors.New("no")), code: 2, says: "prog: --flag: no\n"},
		"wrapped invalid":   {err: fmt.Errorf("starting: %w", process.Invalid("no")), code: 2, says: "prog: starting: no\n"},
		"told to end early": {ctx: ended, err: fmt.Errorf("opening: %w", context.Canceled)},
		"cancelled itself":  {err: fmt.Errorf("opening: %w", context.Canceled), code: 1, says: "prog: opening: context canceled\n"},
		"broke at the end":  {ctx: ended, err: errors.New("it broke"), code: 1, says: "prog: it broke\n"},
	} {
		ctx := tc.ctx
		if ctx == nil {
			ctx = t.Context()
		}
		var stderr strings.Builder
		var got []string
		code := process.Main(ctx, "prog", []string{"--a"}, &stderr, func(_ context.Context, args []string) error { got = args; return tc.err })
		if code != tc.code || stderr.String() != tc.says || len(got) != 1 {
			t.Errorf("%s: code %d, stderr %q; want %d, %q", name, code, stderr.String(), tc.code, tc.says)
		}
	}
}

func TestNotStopping(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	check := process.NotStopping(ctx)
	if err := check(nil); err != nil {
		t.Errorf("while it runs: %v", err)
	}
	cancel()
	if check(nil) == nil {
		t.Error("ready while it ends")
	}
}
