package simulator

import (
	"fmt"
	"time"
)

// allowed says in words what the business may still send; "" where nobody has written, which the page says itself.
func allowed(b Business, conv Conversation, now time.Time) string {
	closes := clockTime(conv.WindowCloses)
	switch open := now.Before(conv.WindowCloses); {
	case conv.Updated.IsZero():
		return ""
	case conv.UserMessages == 0:
		return fmt.Sprintf("%s may not send anything until you write.", b)
	case open && conv.MaySend == unlimited:
		return fmt.Sprintf("%s may send as many messages as it likes until %s.", b, closes)
	case open && conv.MaySend > 0:
		return fmt.Sprintf("%s may send %s until %s, and as many as it likes once you write again.", b, more(conv.MaySend), closes)
	case open:
		return fmt.Sprintf("%s may not send anything until you write again: it has sent the %d messages that follow a first one. "+
			"From %s on it may send %s.", b, firstQuota, closes, more(lateQuota))
	case conv.MaySend > 0:
		return fmt.Sprintf("The 48-hour window closed at %s. %s may send %s until you write again.", closes, b, more(conv.MaySend))
	default:
		return fmt.Sprintf("The 48-hour window closed at %s. %s may not send anything until you write again.", closes, b)
	}
}

func more(messages int) string {
	if messages == 1 {
		return "one more message"
	}
	return fmt.Sprintf("%d more messages", messages)
}
