package outbound

import "time"

const (
	// callTimeout bounds one call to TikTok. The HTTP client gives up earlier on a server that is silent.
	callTimeout = 30 * time.Second
	// patience is how long a process may be at a message between two writes: a refresh of the token and two calls.
	patience = 2*callTimeout + refreshWait + 10*time.Second
	// refreshWait is how long a new token is waited for when TikTok refused the old one.
	refreshWait = 15 * time.Second
	// refreshPoll is how often it is looked for.
	refreshPoll = 250 * time.Millisecond
	// storeTimeout is how long it is tried to store what TikTok answered.
	storeTimeout = time.Minute
	// otherWait is how long a request waits for another one of the same key that is under way, and otherPoll how often it looks.
	otherWait, otherPoll = 10 * time.Second, 200 * time.Millisecond
	// echoWait is how long TikTok's webhook of a message is waited for when the call brought no answer, and echoPoll how often it is looked for.
	echoWait, echoPoll = 3 * time.Second, 200 * time.Millisecond
	// settledAfter is how long after the call TikTok's list of messages is believed when it does not have the message.
	settledAfter = 45 * time.Second
	// skew is how far TikTok's clock and this one may be apart.
	skew = 2 * time.Minute
)
