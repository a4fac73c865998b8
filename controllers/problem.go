package controllers

// problem is why a channel or an app is not Ready: a condition reason, a sentence for a person, and what kind of problem it is.
type problem struct {
	Reason  string
	Message string
	// Stalled: nothing changes until a person acts.
	Stalled bool
	// Reauthorize: the channel was authorized and a person must authorize it again.
	Reauthorize bool
	// Authorize: an authorization link helps.
	Authorize bool
}
