package main

import (
	"reflect"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

// described is one type of events. Which fields of its data it may have is said here, what they mean by the comments of the Go type.
type described struct {
	eventType string
	// tiktok is TikTok's event; "" for any that is not known, and for the operator's own.
	tiktok string
	// when it is sent, as a sentence.
	when string
	data reflect.Type
	// required fields of the data, and the others.
	required, optional []string
	// anyRaw says that raw need not be an object.
	anyRaw bool
}

// own says whether the event is the operator's own.
func (d described) own() bool { return d.data != reflect.TypeFor[cloudevent.Data]() }

// about are the fields that TikTok gives most of its events.
func about(more ...string) []string {
	return append([]string{"businessID", "conversationID", "messageID", "sender", "recipient", "userID", "isFollower", "sceneType"}, more...)
}

func message(eventType, tiktok, when string) described {
	return described{
		eventType: eventType, tiktok: tiktok, when: when, data: reflect.TypeFor[cloudevent.Data](),
		required: []string{"event", "direction", "kind", "raw"},
		optional: about("unsupported", "text", "media", "sharePost", "sticker", "emoji", "reactions", "template", "replyTo", "replySource", "origin",
			"automatic", "fetched"),
	}
}

func other(eventType, tiktok, when string, fields ...string) described {
	return described{
		eventType: eventType, tiktok: tiktok, when: when, data: reflect.TypeFor[cloudevent.Data](),
		required: []string{"event", "raw"}, optional: about(fields...),
	}
}

func channel(eventType, when string, fields ...string) described {
	return described{eventType: eventType, when: when, data: reflect.TypeFor[cloudevent.ChannelData](), optional: fields}
}

// catalogue is every type of events, in the order of the page.
func catalogue() []described {
	return []described{
		message(cloudevent.TypeMessageReceived, "im_receive_msg", "A user wrote to the business."),
		message(cloudevent.TypeMessageSent, "im_send_msg", "The business wrote, by any means."),
		other(cloudevent.TypeMessageRead, "im_mark_read_msg", "The user has read everything up to a time.", "readUpTo"),
		other(cloudevent.TypeMessageReceivedEU, "im_receive_msg_eu", "A user in the EEA, Switzerland or the UK wrote; what, follows."),
		other(cloudevent.TypeReferralReceived, "im_referral_msg", "A user came by an advertisement or a short link.", "referral"),
		other(cloudevent.TypeCommentHighIntent, "im_receive_high_intent_comment", "TikTok took a comment for a wish to buy.",
			"commentID", "commentText"),
		other(cloudevent.TypeAutomessageUpdated, "im_auto_message_config_update", "An automatic message was changed.", "autoMessage"),
		other(cloudevent.TypeAutomessageAudited, "im_auto_message_audit_update", "TikTok approved or rejected an automatic message.", "autoMessage"),
		{
			eventType: cloudevent.TypeUnknown, data: reflect.TypeFor[cloudevent.Data](), anyRaw: true, required: []string{"raw"},
			when:     "An event that this version does not know, or whose content is not what it should be: everything is in `raw`.",
			optional: []string{"event", "businessID", "conversationID", "fetched", "undecodable"},
		},
		{
			eventType: cloudevent.TypeMessageStatus, data: reflect.TypeFor[cloudevent.StatusData](),
			when:     "A message that the business sent has come further, or failed.",
			required: []string{"conversationID", "status"},
			optional: []string{"businessID", "sendID", "messageID", "code", "explanation", "idempotencyKey", "acceptedAt", "content"},
		},
		channel(cloudevent.TypeChannelAuthorized, "A person authorized the channel, for the first time or again.",
			"businessID", "username", "displayName", "grantedScopes", "accessTokenExpiresAt"),
		channel(cloudevent.TypeChannelReauthorizationRequired, "Nothing is received or sent until a person authorizes the channel again.",
			"businessID", "username", "displayName", "reason", "message", "grantedScopes", "accessTokenExpiresAt"),
	}
}
