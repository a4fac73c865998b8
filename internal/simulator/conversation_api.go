package simulator

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Types of conversations: STRANGER until the business has answered.
const (
	conversationSingle   = "SINGLE"
	conversationStranger = "STRANGER"
)

const (
	maxPage     = 100
	defaultPage = 20
)

func (s *Simulator) listConversations(c *call) (any, *failure) {
	kind := c.params["conversation_type"]
	if kind != conversationSingle && kind != conversationStranger {
		return nil, refuse(codeParameter, "conversation_type: must be one of %s, %s.", conversationSingle, conversationStranger)
	}
	limit, before := defaultPage, int64(0)
	if text, given := c.params["limit"]; given {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return nil, refuse(codeParameter, "limit: must be a number from 1 to %d.", maxPage)
		}
		limit = n
	}
	if text, given := c.params["cursor"]; given {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return nil, refuse(codeParameter, "cursor: is not one that this list gave.")
		}
		before = n
	}
	page, more := s.conversations.page(c.authorization.business, kind == conversationSingle, c.now.Add(-listedFor), before, limit)
	listed := make([]map[string]any, 0, len(page))
	cursor := ""
	for _, conv := range page {
		listed = append(listed, map[string]any{"conversation_id": conv.id, "update_time": conv.updated.UnixMilli()})
		cursor = strconv.FormatInt(conv.turn, 10)
	}
	return map[string]any{"conversations": listed, "has_more": more, "cursor": cursor}, nil
}

func (s *Simulator) listContent(c *call) (any, *failure) {
	messages, known := s.conversations.messages(c.authorization.business, c.params["conversation_id"])
	if !known {
		return nil, refuse(codeParameter, "conversation_id is invalid.")
	}
	listed := make([]map[string]json.RawMessage, 0, len(messages))
	participants := []map[string]any{}
	for _, m := range messages {
		rest, people := listedForm(m)
		listed = append(listed, rest)
		for _, p := range people {
			if !slices.ContainsFunc(participants, func(known map[string]any) bool { return known["id"] == p["id"] }) {
				participants = append(participants, p)
			}
		}
	}
	return map[string]any{"participants": participants, "messages": listed}, nil
}

// listedForm writes a message as the content list does: other names than in webhooks, constants in upper case.
func listedForm(m message) (fields map[string]json.RawMessage, people []map[string]any) {
	_ = json.Unmarshal(m.content, &fields) // it is a JSON object
	for name, listed := range map[string]string{"from": "sender", "to": "recipient", "type": "message_type"} {
		if value, ok := fields[name]; ok {
			fields[listed] = value
			delete(fields, name)
		}
	}
	upperCase(fields, "message_type")
	for name, username := range map[string]string{"from_user": "sender", "to_user": "recipient"} {
		var person map[string]json.RawMessage
		if json.Unmarshal(fields[name], &person) != nil || person == nil {
			continue
		}
		upperCase(person, "role")
		fields[name] = encode(person)
		people = append(people, map[string]any{
			"id": stringOf(person["id"]), "role": stringOf(person["role"]), "display_name": stringOf(fields[username]), "profile_image": "",
		})
	}
	for _, name := range []string{"is_follower", "unique_identifier", "scene_type"} { // webhooks only
		delete(fields, name)
	}
	return fields, people
}

func upperCase(fields map[string]json.RawMessage, name string) {
	if value := stringOf(fields[name]); value != "" {
		fields[name] = encode(strings.ToUpper(value))
	}
}

func stringOf(raw json.RawMessage) (s string) {
	_ = json.Unmarshal(raw, &s) // "" for another type: a tester's choice
	return s
}

func encode(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil { // it is made of JSON
		return json.RawMessage("null")
	}
	return raw
}
