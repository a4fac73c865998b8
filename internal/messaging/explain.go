package messaging

import "github.com/tiktok-operator/tiktok-operator/internal/tiktok"

// Explain puts an error of the client into a sentence that says what it means for a message, and what to do. TikTok's own words are not in it:
// show them beside it, as they may say more.
func Explain(e *tiktok.Error) string {
	switch {
	case e == nil:
		return ""
	case e.Code == tiktok.CodeMessageBlocked:
		return "TikTok's rules of direct messages forbid it: the user's last message is too old, too many messages were sent since, the user never " +
			"wrote, or the business has reached its conversations of the day. Wait for the user to write again."
	case e.Code == tiktok.CodeUnsupportedFile:
		return "TikTok does not take files of this type. Send a JPEG or PNG image of at most 3 MB."
	case e.Code == tiktok.CodeNotFound:
		return "The conversation, the message or the media do not exist at TikTok, or no longer do. Read the conversation anew."
	case e.Code == tiktok.CodeParameter:
		return "TikTok did not accept a part of the message, which its words name. Correct it and send it again."
	}
	switch e.Class {
	case tiktok.ClassTokenRefused:
		return "TikTok does not accept the channel's access token. It is being refreshed; if that fails, the business must authorize the app again."
	case tiktok.ClassScopeMissing:
		return "The app may not send messages for this business: the scope message.list.send is missing, or TikTok has not approved the app for it."
	case tiktok.ClassRateLimited:
		return "TikTok gets too many requests of this app. Send the message later."
	case tiktok.ClassAppCredentials:
		return "TikTok does not accept the app's id and secret. The owner of the TiktokApp must correct them."
	case tiktok.ClassTransient, tiktok.ClassMalformed:
		if e.NotSent {
			return "TikTok could not be reached, and the message was not sent. Send it again."
		}
		return "TikTok did not answer, or not clearly. Whether the message was sent is not known: read the conversation before you send it again."
	default:
		return "TikTok refused the message, and would again. Its words say more."
	}
}
