package eventlog

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// FullError says that the log has no room: nothing was stored. It passes when events expire, or when somebody makes room.
type FullError struct {
	Reason string
	// Remedy is what makes room; "" means that free disk space or a higher limit does.
	Remedy string
}

// Error implements error.
func (e *FullError) Error() string {
	return "the event log is full: " + e.Reason + "; nothing was stored: " + cmp.Or(e.Remedy, "free disk space or raise the limit")
}

// UnavailableError says that the log could not be reached or did not acknowledge in time. What was being stored may have been: storing it
// again is safe, as a duplicate is recognised.
type UnavailableError struct {
	// Doing is what was being done.
	Doing string
	Err   error
}

// Error implements error.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("the event log is unavailable (%s): %v", e.Doing, e.Err)
}

// Unwrap implements errors.Unwrap.
func (e *UnavailableError) Unwrap() error { return e.Err }

// TooLargeError says that a record is larger than the server takes; no retry helps.
type TooLargeError struct{ Size, Limit int64 }

// Error implements error.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the event has %d bytes, more than the event log takes (%d): raise max_payload of the NATS server", e.Size, e.Limit)
}

// LockedError says that another process uses the data directory.
type LockedError struct{ DataDir string }

// Error implements error.
func (e *LockedError) Error() string {
	return fmt.Sprintf("another process uses the event log in %s: stop it, or give this one a directory (or an external NATS server) of its own",
		e.DataDir)
}

// CorruptError says that stored data cannot be read back. The log does not open, lest it began anew in silence.
type CorruptError struct{ DataDir, Problem string }

// Error implements error.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("the event log in %s is damaged: %s. Restore the directory from a snapshot; or, to go on with what can still be read "+
		"and give up the rest, create an empty file named %s in it and start again", e.DataDir, e.Problem, acceptLossName)
}

// JetStream's error codes that mean "no room".
const (
	codeAccountResourcesExceeded jetstream.ErrorCode = 10002
	codeInsufficientResources    jetstream.ErrorCode = 10023
	codeStorageExceeded          jetstream.ErrorCode = 10047
	codeMessageTooLarge          jetstream.ErrorCode = 10054
	codeStoreFailed              jetstream.ErrorCode = 10077
)

// classify turns an error of the client into one of this package's.
func classify(doing string, err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case codeAccountResourcesExceeded, codeInsufficientResources, codeStorageExceeded:
			return &FullError{Reason: api.Description}
		case codeStoreFailed:
			if strings.Contains(api.Description, "maximum") {
				return &FullError{Reason: api.Description}
			}
		}
	}
	return &UnavailableError{Doing: doing, Err: err}
}

func tooLarge(err error, size, limit int64) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeMessageTooLarge {
		return true
	}
	return errors.Is(err, nats.ErrMaxPayload) || size > limit
}
