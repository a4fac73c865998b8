package process

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// Exit codes of the binaries.
const (
	exitClean = 0
	// exitFailed: something outside the process was not as it must be, or broke. Starting again may help.
	exitFailed = 1
	// exitInvalid: what the process was started with cannot work. Starting again changes nothing.
	exitInvalid = 2
)

// InvalidError says that the flags, or the files that they name, cannot work. It names the flag.
type InvalidError struct{ Err error }

// Error implements error.
func (e *InvalidError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *InvalidError) Unwrap() error { return e.Err }

// Invalid makes an InvalidError of a format, as fmt.Errorf does.
func Invalid(format string, args ...any) error {
	return &InvalidError{Err: fmt.Errorf(format, args...)}
}

// Main runs a binary's start and returns its exit code: 0 when it ended as it was told to, 2 for an *InvalidError, 1 for every other error.
// An error is told in one line on stderr.
func Main(ctx context.Context, name string, args []string, stderr io.Writer, start func(context.Context, []string) error) int {
	err := start(ctx, args)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitClean
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitClean // it was told to end before it was up
	}
	fmt.Fprintf(stderr, "%s: %s\n", name, strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; "))
	if invalid := (*InvalidError)(nil); errors.As(err, &invalid) {
		return exitInvalid
	}
	return exitFailed
}
