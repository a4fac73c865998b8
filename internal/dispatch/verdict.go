package dispatch

import "time"

// DeadReason is why an event became a dead letter.
type DeadReason string

// Reasons.
const (
	// DeadRejected: the sink answered with a 4xx that says that no repetition helps.
	DeadRejected DeadReason = "rejected"
	// DeadAttempts: delivery.maxAttempts attempts failed.
	DeadAttempts DeadReason = "attempts_exhausted"
	// DeadAge: the event grew older than delivery.maxAge.
	DeadAge DeadReason = "too_old"
	// DeadInvalid: the event cannot be written as a CloudEvent, which nothing is known to cause.
	DeadInvalid DeadReason = "invalid"
)

// limits are when to give an event up; zero means never.
type limits struct {
	attempts int
	age      time.Duration
}

// giveUp decides, after a failed attempt, whether the event is a dead letter; "" means that it is tried again.
func (l limits) giveUp(o outcome, attempts int, age time.Duration) DeadReason {
	switch {
	case o == outcomeRefused:
		return DeadRejected
	case o == outcomeInvalid:
		return DeadInvalid
	case l.attempts > 0 && attempts >= l.attempts:
		return DeadAttempts
	case l.tooOld(age):
		return DeadAge
	default:
		return ""
	}
}

func (l limits) tooOld(age time.Duration) bool { return l.age > 0 && age > l.age }
