package cloudevent_test

import "testing"

func TestKindsOfMessages(t *testing.T) {
	for name, want := range map[string]normalized{
		"large emoji": {
			body:      envelope("im_receive_msg", `{"conversation_id":"c","message_id":"m","type":"EMOJI","emoji":{"url":"https://x"}}`),
			eventType: "io.tiktok-operator.message.received", time: atEnvelope, subject: "c",
			data: `{"event":"im_receive_msg","businessID":"-biz","conversationID":"c","messageID":"m","direction":"inbound","kind":"emoji",
				"emoji":{"url":"https://x"}}`,
		},
		"reactions": {
			body: envelope("im_receive_msg", `{"conversation_id":"c","type":"reaction","reaction":[{"operation":"add","type":"EMOJI","emoji":"😀",
				"unique_identifier":"user-1","timestamp":1780000000123,"original_msg_id":7498765432109876543},
				{"operation":"REMOVE","type":"AI_EMOJI","ai_emoji_url":"https://x"}]}`),
			eventType: "io.tiktok-operator.message.received", time: atEnvelope, subject: "c",
			data: `{"event":"im_receive_msg","businessID":"-biz","conversationID":"c","direction":"inbound","kind":"reaction","reactions":[
				{"operation":"ADD","type":"EMOJI","emoji":"😀","userID":"user-1","time":"2026-05-28T20:26:40.123Z","messageID":"7498765432109876543"},
				{"operation":"REMOVE","type":"AI_EMOJI","aiEmojiURL":"https://x"}]}`,
		},
		"card": {
			body: envelope("im_send_msg", `{"conversation_id":"c","message_id":"m","type":"template","template":{"type":"QA_BUTTON_CARD",
				"elements":[{"title":"Which?","buttons":[{"text":"One","type":"REPLY","id":"1"},{"text":"Two"}]}]}}`),
			eventType: "io.tiktok-operator.message.sent", time: atEnvelope, subject: "c",
			data: `{"event":"im_send_msg","businessID":"-biz","conversationID":"c","messageID":"m","direction":"outbound","kind":"template",
				"template":{"type":"qa_button_card","elements":[{"title":"Which?","buttons":[{"type":"reply","id":"1","text":"One"},{"text":"Two"}]}]}}`,
		},
		"tapped button": {
			body: envelope("im_receive_msg", `{"conversation_id":"c","message_id":"m","type":"text","text":{"body":"One"},
				"reply_source_payload":{"reply_source_msg_id":7498765432109876543,"reply_source_unique_id":"1"}}`),
			eventType: "io.tiktok-operator.message.received", time: atEnvelope, subject: "c",
			data: `{"event":"im_receive_msg","businessID":"-biz","conversationID":"c","messageID":"m","direction":"inbound","kind":"text","text":"One",
				"replySource":{"messageID":"7498765432109876543","uniqueID":"1"}}`,
		},
		"sticker of another shape": {
			body:      envelope("im_receive_msg", `{"conversation_id":"c","type":"sticker","sticker":["x"]}`),
			eventType: "io.tiktok-operator.message.received", time: atEnvelope, subject: "c",
			data: `{"event":"im_receive_msg","businessID":"-biz","conversationID":"c","direction":"inbound","kind":"sticker","unsupported":true}`,
		},
		"large emoji without address": {
			body:      envelope("im_receive_msg", `{"conversation_id":"c","type":"emoji"}`),
			eventType: "io.tiktok-operator.message.received", time: atEnvelope, subject: "c",
			data: `{"event":"im_receive_msg","businessID":"-biz","conversationID":"c","direction":"inbound","kind":"emoji","unsupported":true}`,
		},
		"reaction of another shape": {
			body:      envelope("im_receive_msg", `{"conversation_id":"c","type":"reaction","reaction":{"emoji":"x"}}`),
			eventType: "io.tiktok-operator.message.received", time: atEnvelope, subject: "c",
			data: `{"event":"im_receive_msg","businessID":"-biz","conversationID":"c","direction":"inbound","kind":"reaction","unsupported":true}`,
		},
		"empty card": {
			body:      envelope("im_receive_msg", `{"conversation_id":"c","type":"template","template":{}}`),
			eventType: "io.tiktok-operator.message.received", time: atEnvelope, subject: "c",
			data: `{"event":"im_receive_msg","businessID":"-biz","conversationID":"c","direction":"inbound","kind":"template","unsupported":true}`,
		},
		"kind of a later version": {
			body:      envelope("im_receive_msg", `{"conversation_id":"c","type":"HOLOGRAM","hologram":{"url":"https://x"}}`),
			eventType: "io.tiktok-operator.message.received", time: atEnvelope, subject: "c",
			data: `{"event":"im_receive_msg","businessID":"-biz","conversationID":"c","direction":"inbound","kind":"hologram","unsupported":true}`,
		},
	} {
		t.Run(name, want.check)
	}
}
