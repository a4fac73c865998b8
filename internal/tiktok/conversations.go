package tiktok

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// ConversationType says which of a business's two lists a conversation is in.
type ConversationType string

// Types of conversations.
const (
	// ConversationSingle: the business has answered.
	ConversationSingle ConversationType = "SINGLE"
	// ConversationStranger: a message request, until the business answers.
	ConversationStranger ConversationType = "STRANGER"
)

const (
	// MaxConversations is the most that one page of conversations holds.
	MaxConversations = 100
	// MaxConversationMessages is how many messages TikTok shows of a conversation: the newest. There is no way to the older ones.
	MaxConversationMessages = 20
)

// Conversation is one of a business's, as listed.
type Conversation struct {
	// ID is never empty.
	ID string
	// UpdatedAt is when something last happened in it; zero if TikTok did not say.
	UpdatedAt time.Time
}

// ConversationPage is a part of the list of conversations.
type ConversationPage struct {
	Conversations []Conversation
	// Cursor of the next page; "" if this is the last.
	Cursor string
}

// Conversations lists a business's conversations of one type, of the last 90 days. limit is between 1 and MaxConversations; cursor is that of
// the page before, "" for the first page. A conversation without an id is left out.
func (c *Client) Conversations(
	ctx context.Context, accessToken Secret, businessID string, kind ConversationType, limit int, cursor string,
) (*ConversationPage, error) {
	var data struct {
		Conversations []optional[struct {
			ID         text   `json:"conversation_id"`
			UpdateTime number `json:"update_time"`
		}] `json:"conversations"`
		HasMore flag `json:"has_more"`
		Cursor  text `json:"cursor"`
	}
	query := map[string]string{
		"business_id": businessID, "conversation_type": string(kind), "limit": strconv.Itoa(min(max(limit, 1), MaxConversations)),
	}
	if cursor != "" {
		query["cursor"] = cursor
	}
	err := c.do(ctx, call{
		method: http.MethodGet, endpoint: "business/message/conversation/list/", accessToken: &accessToken, query: query, maxAnswer: maxListAnswer,
	}, &data)
	if err != nil {
		return nil, err
	}
	page := &ConversationPage{}
	for _, item := range data.Conversations {
		if item.value.ID != "" {
			page.Conversations = append(page.Conversations, Conversation{ID: string(item.value.ID), UpdatedAt: unixTime(item.value.UpdateTime)})
		}
	}
	// Only a plain "no" ends the list: a page too many costs a call, one too few a message.
	if more := data.HasMore.value; more == nil || *more {
		page.Cursor = string(data.Cursor)
	}
	return page, nil
}

// ConversationMember is one side of a conversation.
type ConversationMember struct {
	Participant
	// DisplayName and ProfileImageURL may be empty; the latter expires.
	DisplayName, ProfileImageURL string
	// IsFollower says whether the user follows the business; nil if TikTok did not say.
	IsFollower *bool
}

// ConversationContent is what TikTok shows of one conversation.
type ConversationContent struct {
	Members []ConversationMember
	// Messages are the newest, in TikTok's order: MaxConversationMessages at most.
	Messages []ConversationMessage
}

// ConversationMessages reads the newest messages of a conversation, in TikTok's order: MaxConversationMessages at most.
func (c *Client) ConversationMessages(ctx context.Context, accessToken Secret, businessID, conversationID string) ([]ConversationMessage, error) {
	content, err := c.ConversationContent(ctx, accessToken, businessID, conversationID)
	if err != nil {
		return nil, err
	}
	return content.Messages, nil
}

// ConversationContent reads who is in a conversation, and its newest messages. A member without an id is left out.
func (c *Client) ConversationContent(ctx context.Context, accessToken Secret, businessID, conversationID string) (*ConversationContent, error) {
	var data struct {
		Participants optional[[]optional[struct {
			participantWire
			DisplayName  text `json:"display_name"`
			ProfileImage text `json:"profile_image"`
			IsFollower   flag `json:"is_follower"`
		}]] `json:"participants"`
		Messages []listedMessage `json:"messages"`
	}
	err := c.do(ctx, call{
		method: http.MethodGet, endpoint: "business/message/content/list/", accessToken: &accessToken,
		query: map[string]string{"business_id": businessID, "conversation_id": conversationID}, maxAnswer: maxListAnswer,
	}, &data)
	if err != nil {
		return nil, err
	}
	content := &ConversationContent{Messages: make([]ConversationMessage, 0, len(data.Messages))}
	for _, p := range data.Participants.value {
		if p.value.ID != "" {
			content.Members = append(content.Members, ConversationMember{
				Participant: p.value.participant(), DisplayName: string(p.value.DisplayName), ProfileImageURL: string(p.value.ProfileImage),
				IsFollower: p.value.IsFollower.value,
			})
		}
	}
	for _, m := range data.Messages {
		content.Messages = append(content.Messages, m.message(conversationID))
	}
	return content, nil
}
