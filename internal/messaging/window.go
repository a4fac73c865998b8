package messaging

import (
	"fmt"
	"time"
)

// windowRule: 48 hours from the user's last message. Before the user's second message 10 messages may be sent, on which the sources that name a
// quota agree. From the second on there is no limit, as the most detailed source says; others say 10 each time. After the window 3 more, says
// that source; nothing, say others. Nobody says more than that, but for mutual followers, who may be exempt from all of it.
func windowRule(_ Message, c Conversation, now time.Time) finding {
	if c.Begun == BegunByNobody {
		return fine // refused before
	}
	if c.LastUserMessage.IsZero() {
		return unknown(ReasonWindowClosed)
	}
	w := c.Window(now)
	// For a follower the exemption makes certain rules doubtful.
	certain := certain
	if c.Follower {
		certain = doubtful
	}
	switch {
	case !w.Open && c.SentLate < LateQuota:
		return doubtful(closed(now.Sub(c.LastUserMessage)))
	case !w.Open:
		return certain(closed(now.Sub(c.LastUserMessage)))
	case c.SentSince < FirstQuota:
		return fine
	case c.firstMessageOnly():
		return certain(refuse(ReasonQuotaUsed,
			"%d messages were sent since the user's only message, and TikTok takes no more than %d before the user's second. Wait for the user to write.",
			c.SentSince, FirstQuota))
	default:
		// There is no limit, says the source that tells most; or older messages of the user are not known, and may be the first.
		return unknown(ReasonQuotaUsed)
	}
}

func closed(since time.Duration) *Refusal {
	return refuse(ReasonWindowClosed,
		"The user wrote last %s ago, and TikTok lets a business answer for 48 hours. Wait for the user to write again.", hours(since))
}

func hours(d time.Duration) string {
	if h := int(d / time.Hour); h < 72 {
		return fmt.Sprintf("%d hours", h)
	}
	return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
}
