package token

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// RemovalReason is TikTok's number of why an authorization was removed.
type RemovalReason int64

// The reasons that TikTok documents.
const (
	RemovalUnknown          RemovalReason = 0
	RemovalUserDisconnected RemovalReason = 1
	RemovalAccountDeleted   RemovalReason = 2
	RemovalAgeChanged       RemovalReason = 3
	RemovalAccountBanned    RemovalReason = 4
	RemovalDeveloperRevoked RemovalReason = 5
)

// Removal is what TikTok told of the end of an authorization.
type Removal struct {
	// Time is when it ended, in whole seconds.
	Time   time.Time
	Reason RemovalReason
}

// Concerns says whether the removal, if there is one, is about the tokens that are beside the memory, and not about earlier ones. TikTok sends
// webhooks late, and more than once.
func (r *Removal) Concerns(m Memory) bool { return r != nil && !r.Time.Before(m.RemovalsFrom) }

// String is the removal as an annotation has it.
func (r *Removal) String() string {
	return r.Time.UTC().Format(time.RFC3339) + " " + strconv.FormatInt(int64(r.Reason), 10)
}

// parseRemoval reads what String wrote; nil if it is anything else. A reason that is missing or no number is unknown.
func parseRemoval(s string) *Removal {
	at, reason, _ := strings.Cut(strings.TrimSpace(s), " ")
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return nil
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(reason), 10, 64)
	return &Removal{Time: t.UTC().Truncate(time.Second), Reason: RemovalReason(n)}
}

// words say what happened, for a person.
func (r *Removal) words() string {
	at := r.Time.UTC().Format(time.RFC3339)
	switch r.Reason {
	case RemovalUserDisconnected:
		return fmt.Sprintf("The business disconnected the app in its TikTok settings at %s.", at)
	case RemovalAccountDeleted:
		return fmt.Sprintf("The business's TikTok account was deleted at %s.", at)
	case RemovalAgeChanged:
		return fmt.Sprintf("TikTok ended the authorization at %s because the age in the account's profile changed.", at)
	case RemovalAccountBanned:
		return fmt.Sprintf("TikTok banned the business's account at %s.", at)
	case RemovalDeveloperRevoked:
		return fmt.Sprintf("The authorization was revoked with the app's own credentials at %s.", at)
	default:
		return fmt.Sprintf("TikTok removed the authorization at %s and gave no reason.", at)
	}
}
