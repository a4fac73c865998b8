package tiktok

// messageWire is a message's content as TikTok writes it. What is optional here only accompanies a message.
type messageWire struct {
	From             text            `json:"from"`
	To               text            `json:"to"`
	FromUser         participantWire `json:"from_user"`
	ToUser           participantWire `json:"to_user"`
	UniqueIdentifier text            `json:"unique_identifier"`
	ConversationID   text            `json:"conversation_id"`
	MessageID        text            `json:"message_id"`
	Type             text            `json:"type"`
	Timestamp        number          `json:"timestamp"`
	SceneType        text            `json:"scene_type"`
	IsFollower       flag            `json:"is_follower"`

	Text struct {
		Body text `json:"body"`
	} `json:"text"`
	Image     mediaWire `json:"image"`
	Video     mediaWire `json:"video"`
	SharePost struct {
		EmbedURL text `json:"embed_url"`
		VideoID  text `json:"video_id"`
	} `json:"share_post"`
	Sticker  optional[linkWire]       `json:"sticker"`
	Emoji    optional[linkWire]       `json:"emoji"`
	Reaction optional[[]reactionWire] `json:"reaction"`
	Template optional[*templateWire]  `json:"template"`

	Referenced optional[struct {
		ID text `json:"referenced_message_id"`
	}] `json:"referenced_message_info"`
	ReplySource optional[*replySourceWire] `json:"reply_source_payload"`
	Tag         optional[struct {
		Source text `json:"source"`
	}] `json:"message_tag"`
	AutoMessageType text `json:"auto_message_type"`

	Read optional[struct {
		Last number `json:"last_read_timestamp"`
	}] `json:"read"`
	Referral    optional[*referralWire] `json:"referral"`
	CommentID   text                    `json:"comment_id"`
	CommentText text                    `json:"comment_text"`
}

type participantWire struct {
	ID   text `json:"id"`
	Role text `json:"role"`
}

type mediaWire struct {
	MediaID text `json:"media_id"`
}

type linkWire struct {
	URL text `json:"url"`
}

type reactionWire struct {
	Operation         text   `json:"operation"`
	Type              text   `json:"type"`
	Emoji             text   `json:"emoji"`
	AIEmojiURL        text   `json:"ai_emoji_url"`
	UniqueIdentifier  text   `json:"unique_identifier"`
	Timestamp         number `json:"timestamp"`
	OriginalMessageID text   `json:"original_msg_id"`
}

type templateWire struct {
	Type     text `json:"type"`
	Elements []struct {
		Title   text `json:"title"`
		Buttons []struct {
			Text text `json:"text"`
			Type text `json:"type"`
			ID   text `json:"id"`
		} `json:"buttons"`
	} `json:"elements"`
}

type replySourceWire struct {
	MessageID text `json:"reply_source_msg_id"`
	UniqueID  text `json:"reply_source_unique_id"`
}

type referralWire struct {
	Source text `json:"source"`
	Ad     *struct {
		AdvertiserID      text   `json:"advertiser_id"`
		AdID              text   `json:"ad_id"`
		AdName            text   `json:"ad_name"`
		Timestamp         number `json:"timestamp"`
		EmbedURL          text   `json:"embed_url"`
		MessageMaterialID text   `json:"message_material_id"`
	} `json:"ad"`
	ShortLink *struct {
		Ref              text `json:"ref"`
		PrefilledMessage text `json:"prefilled_message"`
		AuditStatus      text `json:"prefilled_message_audit_status"`
	} `json:"short_link"`
}
