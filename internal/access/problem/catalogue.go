package problem

import "net/http"

// Documented says what a type of problems means to whoever meets it.
type Documented struct {
	// Name is that of Problem, Status its HTTP status.
	Name   string
	Status int
	// Meaning is what has happened, Todo what a program, or a person, does about it.
	Meaning, Todo string
}

const (
	changeMessage = "Change the message; sent as it is it would be refused again."
	waitForUser   = "Wait until the user writes again."
	sameAgain     = "Repeat the request, with the same idempotency key, after Retry-After."
	askOwner      = "A person must act: the detail says who and what."
)

// Catalogue are all problems of the private API, those of authorization links aside, which docs/reference/authorization.md has. A new one is a
// line here.
func Catalogue() []Documented {
	return []Documented{
		{"invalid-request", http.StatusBadRequest, "The request is not understood.", "Correct it; the detail says what."},
		{"too-many-events", http.StatusBadRequest, "A replay chooses more events than one request replays.", "Choose fewer, and send several requests."},
		{"unauthenticated", http.StatusUnauthorized, "There is no valid bearer token.", "Send a token of the cluster for the audience tiktok-operator."},
		{"forbidden", http.StatusForbidden, "The caller may not do this.", "Have a Role granted; the detail names its rule."},
		{"not-found", http.StatusNotFound, "What the path names does not exist, or is not known.", "Check the path; conversation ids are percent-encoded."},
		{"no-media", http.StatusNotFound, "The message has no image and no video.", "Nothing: there is nothing to download."},
		{"channel-suspended", http.StatusConflict, "The channel is suspended (spec.suspend).", askOwner},
		{"channel-not-authorized", http.StatusConflict, "The business has not authorized the app, or no longer does.", askOwner},
		{
			"sink-gone", http.StatusConflict, "The channel has no sink any more of the name that a dead letter is for.",
			"Name another one with to=…; the detail says which is gone.",
		},
		{
			"type-not-wanted", http.StatusConflict, "The sink's filter (types) leaves out the type of a dead letter's event.",
			"Name another sink with to=…, or change the filter.",
		},
		{"idempotency-key-reused", http.StatusConflict, "The idempotency key was used for another message.", "Use a key of its own for each message."},
		{"send-in-progress", http.StatusConflict, "Another request with this idempotency key is being dealt with.", sameAgain},
		{"request-too-large", http.StatusRequestEntityTooLarge, "The body is larger than any message that TikTok takes.", changeMessage},
		{"unsupported-media-type", http.StatusUnsupportedMediaType, "The body is neither JSON nor a form.", "Correct the Content-Type."},
		{"message-empty", http.StatusUnprocessableEntity, "There is nothing to send.", changeMessage},
		{"message-mixed", http.StatusUnprocessableEntity, "The message holds more than one text, image, post or card.", "Send them one after the other."},
		{"quote-needs-text", http.StatusUnprocessableEntity, "Only a text can quote a message.", changeMessage},
		{"text-invalid", http.StatusUnprocessableEntity, "The text is not UTF-8.", changeMessage},
		{"text-too-long", http.StatusUnprocessableEntity, "The text has more than 6,000 characters.", "Send it in parts."},
		{"card-invalid", http.StatusUnprocessableEntity, "The card lacks something, or has too much of it.", changeMessage},
		{"image-unsupported", http.StatusUnprocessableEntity, "The file is neither JPEG nor PNG, by its content.", changeMessage},
		{"image-damaged", http.StatusUnprocessableEntity, "The image breaks off, or holds something besides.", changeMessage},
		{"image-too-large", http.StatusUnprocessableEntity, "The image has more than 3 MB, or too many pixels.", changeMessage},
		{"image-not-allowed", http.StatusUnprocessableEntity, "TikTok allows no images in this conversation.", "Send a text instead."},
		{"conversation-not-begun", http.StatusUnprocessableEntity, "No user has written in this conversation.", waitForUser},
		{"window-closed", http.StatusUnprocessableEntity, "The user's last message is more than 48 hours old.", waitForUser},
		{"quota-used", http.StatusUnprocessableEntity, "As many messages were sent as TikTok allows until the user writes again.", waitForUser},
		{
			"refused-by-tiktok", http.StatusUnprocessableEntity, "TikTok refused it. The members code and requestID are TikTok's, possibleReasons " +
				"the names of problems that may be behind it.", "The detail says what. Under the same idempotency key the answer stays the same.",
		},
		{"too-many-requests", http.StatusTooManyRequests, "The app's rate limit at TikTok is used up; nothing was sent.", sameAgain},
		{"media-unavailable", http.StatusBadGateway, "TikTok does not give the media.", "Ask again later; media that are deleted stay away."},
		{"media-too-large", http.StatusBadGateway, "The media are larger than what is passed on.", "Look at them in the TikTok app."},
		{"tiktok-unavailable", http.StatusServiceUnavailable, "TikTok could not be reached; nothing was sent.", sameAgain},
		{"too-many-streams", http.StatusServiceUnavailable, "The replica bears no more streams of events.", "Connect again later, or use a sink."},
		{
			"too-many-downloads", http.StatusServiceUnavailable, "The replica, or the channel, has too many downloads of media under way.",
			"Ask again in a moment.",
		},
		{"too-many-uploads", http.StatusServiceUnavailable, "The replica, or the channel, has too many images in memory; nothing was sent.", sameAgain},
		{"unavailable", http.StatusServiceUnavailable, "The event log or the cluster could not be asked; nothing is lost.", sameAgain},
		{
			"outcome-unknown", http.StatusGatewayTimeout, "TikTok did not answer, and whether it has the message is not known. The member sendID " +
				"names it.", "Repeat the request with the same idempotency key: the message is sent again only if TikTok turns out not to have it.",
		},
	}
}
