package cloudevent

// Types of events; sinks choose among them.
const (
	// TypeMessageReceived: a user wrote to the business.
	TypeMessageReceived = "io.tiktok-operator.message.received"
	// TypeMessageSent: the business wrote, by any means; origin says by which, if TikTok does.
	TypeMessageSent = "io.tiktok-operator.message.sent"
	// TypeMessageRead: the user has read up to a time.
	TypeMessageRead = "io.tiktok-operator.message.read"
	// TypeMessageReceivedEU: a user in the EEA, Switzerland or the UK wrote; TikTok does not say what.
	TypeMessageReceivedEU = "io.tiktok-operator.message.received.eu"
	// TypeReferralReceived: a user came by an advertisement or a short link.
	TypeReferralReceived = "io.tiktok-operator.referral.received"
	// TypeCommentHighIntent: TikTok took a comment for a wish to buy.
	TypeCommentHighIntent = "io.tiktok-operator.comment.high_intent"
	// TypeAutomessageUpdated: an automatic message was changed.
	TypeAutomessageUpdated = "io.tiktok-operator.automessage.updated"
	// TypeAutomessageAudited: TikTok approved or rejected an automatic message.
	TypeAutomessageAudited = "io.tiktok-operator.automessage.audited"
	// TypeUnknown: an event that this version does not know, or cannot decode; raw has it whole.
	TypeUnknown = "io.tiktok-operator.unknown"
)

// entry is how one of TikTok's events becomes a CloudEvent.
type entry struct {
	eventType string
	// fill normalises the content.
	fill func(*Data, content)
}

// catalogue is the table of TikTok's events. A new event is a line here and in hack/docs/events, a row in docs/reference/events.md, and a
// webhook in testdata/wire.
func catalogue(event string) (entry, bool) {
	switch event {
	case "im_receive_msg":
		return entry{TypeMessageReceived, fillMessage}, true
	case "im_send_msg":
		return entry{TypeMessageSent, fillMessage}, true
	case "im_mark_read_msg":
		return entry{TypeMessageRead, fillRead}, true
	case "im_receive_msg_eu":
		return entry{TypeMessageReceivedEU, fillCommon}, true
	case "im_referral_msg":
		return entry{TypeReferralReceived, fillReferral}, true
	case "im_receive_high_intent_comment":
		return entry{TypeCommentHighIntent, fillComment}, true
	case "im_auto_message_config_update":
		return entry{TypeAutomessageUpdated, fillAutoMessage}, true
	case "im_auto_message_audit_update":
		return entry{TypeAutomessageAudited, fillAutoMessage}, true
	default:
		return entry{}, false
	}
}

// TypeOf is the CloudEvent type of one of TikTok's events whose content can be decoded.
func TypeOf(event string) string {
	if e, ok := catalogue(event); ok {
		return e.eventType
	}
	return TypeUnknown
}
