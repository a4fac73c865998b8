package cloudevent_test

import "testing"

func TestEventsWithoutMessage(t *testing.T) {
	for name, want := range map[string]normalized{
		"referral by an advertisement": {
			body: envelope("im_referral_msg", `{`+common+`,"scene_type":"x","referral":{"source":"AD","ad":{"advertiser_id":7123456789012345678,
				"ad_id":1834567890123456789,"ad_name":"Spring","timestamp":1780000000000,"embed_url":"https://e","message_material_id":"9"}}}`),
			eventType: "io.tiktok-operator.referral.received", time: atContent, subject: "a+b/c=",
			data: `{"event":"im_referral_msg","businessID":"-biz","conversationID":"a+b/c=","sender":{"id":"u1","username":"ann","role":"personal_account"},
				"recipient":{"id":"-biz","username":"shop","role":"business_account"},"userID":"user-1","isFollower":true,"sceneType":"x",
				"referral":{"source":"ad","ad":{"advertiserID":"7123456789012345678","adID":"1834567890123456789","adName":"Spring",
				"time":"2026-05-28T20:26:40Z","embedURL":"https://e","messageMaterialID":"9"}}}`,
		},
		"referral by a link": {
			body: envelope("im_referral_msg", `{"conversation_id":"c","referral":{"source":"short_link","short_link":{"ref":"bio","prefilled_message":"Hi",
				"prefilled_message_audit_status":"APPROVED"}}}`),
			eventType: "io.tiktok-operator.referral.received", time: atEnvelope, subject: "c",
			data: `{"event":"im_referral_msg","businessID":"-biz","conversationID":"c",
				"referral":{"source":"short_link","shortLink":{"ref":"bio","prefilledMessage":"Hi","prefilledMessageAuditStatus":"APPROVED"}}}`,
		},
		"referral of another shape": {
			body: envelope("im_referral_msg", `{"conversation_id":"c","referral":["ad"]}`), eventType: "io.tiktok-operator.referral.received",
			time: atEnvelope, subject: "c", data: `{"event":"im_referral_msg","businessID":"-biz","conversationID":"c"}`,
		},
		"comment": {
			body:      envelope("im_receive_high_intent_comment", `{"unique_identifier":"user-1","comment_id":7498765432109876543,"comment_text":"price?"}`),
			eventType: "io.tiktok-operator.comment.high_intent", time: atEnvelope,
			data: `{"event":"im_receive_high_intent_comment","businessID":"-biz","userID":"user-1","commentID":"7498765432109876543",
				"commentText":"price?"}`,
		},
		"welcome message changed": {
			body: envelope("im_auto_message_config_update", `{"auto_message_id":7498765432109876543,"auto_message_type":"welcome_message",
				"auto_message_action":"UPDATE","timestamp":1780000000123,"welcome_message":{"content":"Hello"}}`),
			eventType: "io.tiktok-operator.automessage.updated", time: atContent,
			data: `{"event":"im_auto_message_config_update","businessID":"-biz","autoMessage":{"id":"7498765432109876543","type":"WELCOME_MESSAGE",
				"action":"UPDATE","welcomeMessage":{"content":"Hello"}}}`,
		},
		"suggested question changed": {
			body:      envelope("im_auto_message_config_update", `{"auto_message_id":"1","suggested_question":{"question":"Q?","answer":"A."}}`),
			eventType: "io.tiktok-operator.automessage.updated", time: atEnvelope,
			data: `{"event":"im_auto_message_config_update","businessID":"-biz","autoMessage":{"id":"1","suggestedQuestion":{"question":"Q?","answer":"A."}}}`,
		},
		"chat prompt changed": {
			body:      envelope("im_auto_message_config_update", `{"auto_message_id":"1","chat_prompt":{"title":"T","content":"C"},"welcome_message":"?"}`),
			eventType: "io.tiktok-operator.automessage.updated", time: atEnvelope,
			data: `{"event":"im_auto_message_config_update","businessID":"-biz","autoMessage":{"id":"1","chatPrompt":{"title":"T","content":"C"}}}`,
		},
		"automatic message audited": {
			body:      envelope("im_auto_message_audit_update", `{"auto_message_id":"1","auto_message_type":"CHAT_PROMPT","audit_status":"approved"}`),
			eventType: "io.tiktok-operator.automessage.audited", time: atEnvelope,
			data: `{"event":"im_auto_message_audit_update","businessID":"-biz","autoMessage":{"id":"1","type":"CHAT_PROMPT","status":"APPROVED"}}`,
		},
		"automatic message without anything": {
			body: envelope("im_auto_message_audit_update", `{}`), eventType: "io.tiktok-operator.automessage.audited", time: atEnvelope,
			data: `{"event":"im_auto_message_audit_update","businessID":"-biz"}`,
		},
		"comment.update as an object": {
			body:      `{"event":"comment.update","user_openid":"-biz","content":{"comment_id":7498765432109876543,"video_id":18446744073709551615}}`,
			eventType: "io.tiktok-operator.unknown", time: received, data: `{"event":"comment.update","businessID":"-biz"}`,
		},
		"brand mention": {
			body: envelope("brand.mention.event", `{"x":1}`), eventType: "io.tiktok-operator.unknown", time: atEnvelope,
			data: `{"event":"brand.mention.event","businessID":"-biz"}`,
		},
		"post published": {
			body: envelope("post.publish.complete", `{"publish_id":"v"}`), eventType: "io.tiktok-operator.unknown", time: atEnvelope,
			data: `{"event":"post.publish.complete","businessID":"-biz"}`,
		},
		"read mark that claims to be a fetched message": {
			body:      `{"event":"im_mark_read_msg","user_openid":"-biz","fetched":true,"content":{"conversation_id":"c"}}`,
			eventType: "io.tiktok-operator.message.read", time: received, subject: "c",
			data: `{"event":"im_mark_read_msg","businessID":"-biz","conversationID":"c"}`,
		},
		"authorization removed": {
			body: envelope("authorization.removed", `{"reason":1}`), eventType: "io.tiktok-operator.unknown", time: atEnvelope,
			data: `{"event":"authorization.removed","businessID":"-biz"}`,
		},
	} {
		t.Run(name, want.check)
	}
}
