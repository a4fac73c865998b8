package messaging

// Reason is why a message is refused. Reasons are stable: programs tell refusals apart by them.
type Reason string

// Reasons.
const (
	// ReasonEmpty: there is nothing to send.
	ReasonEmpty Reason = "message-empty"
	// ReasonMixed: a message is one text, one image, one post or one card.
	ReasonMixed Reason = "message-mixed"
	// ReasonTextTooLong: more than MaxTextLength characters.
	ReasonTextTooLong Reason = "text-too-long"
	// ReasonTextInvalid: the text is not UTF-8.
	ReasonTextInvalid Reason = "text-invalid"
	// ReasonQuoteNeedsText: only a text can quote a message.
	ReasonQuoteNeedsText Reason = "quote-needs-text"
	// ReasonCardInvalid: the card lacks something, or has too much of it.
	ReasonCardInvalid Reason = "card-invalid"
	// ReasonImageUnsupported: the file is neither JPEG nor PNG by its content.
	ReasonImageUnsupported Reason = "image-unsupported"
	// ReasonImageTooLarge: more than 3 MB, or more pixels than this operator passes on.
	ReasonImageTooLarge Reason = "image-too-large"
	// ReasonImageDamaged: the file breaks off, contradicts itself, or holds something besides the image.
	ReasonImageDamaged Reason = "image-damaged"
	// ReasonImageNotAllowed: TikTok allows no images in this conversation.
	ReasonImageNotAllowed Reason = "image-not-allowed"
	// ReasonNotBegun: no user has written in this conversation, and a business cannot begin one.
	ReasonNotBegun Reason = "conversation-not-begun"
	// ReasonWindowClosed: the user's last message is more than 48 hours old.
	ReasonWindowClosed Reason = "window-closed"
	// ReasonQuotaUsed: as many messages were sent as TikTok allows until the user writes again.
	ReasonQuotaUsed Reason = "quota-used"
	// ReasonChannelSuspended: the channel is suspended by its owner.
	ReasonChannelSuspended Reason = "channel-suspended"
	// ReasonChannelNotAuthorized: the business has not authorized the app, or no longer does.
	ReasonChannelNotAuthorized Reason = "channel-not-authorized"
)

// Reasons are all of them, in the order in which they are looked for.
func Reasons() []Reason {
	return []Reason{
		ReasonChannelSuspended, ReasonChannelNotAuthorized, ReasonEmpty, ReasonMixed, ReasonQuoteNeedsText, ReasonTextInvalid, ReasonTextTooLong,
		ReasonCardInvalid, ReasonImageUnsupported, ReasonImageDamaged, ReasonImageTooLarge, ReasonNotBegun, ReasonWindowClosed, ReasonQuotaUsed,
		ReasonImageNotAllowed,
	}
}
