package cloudevent

import (
	"bytes"
	"encoding/json"
	"strings"
)

func fillAutoMessage(d *Data, c content) {
	fillCommon(d, c)
	o := decodeObject(c.raw)
	m := AutoMessage{
		ID: o.text("auto_message_id"), Type: strings.ToUpper(o.text("auto_message_type")), Action: strings.ToUpper(o.text("auto_message_action")),
		Status: strings.ToUpper(o.text("audit_status")),
	}
	if b := o.object("welcome_message"); b != nil {
		m.WelcomeMessage = &WelcomeMessage{Content: b.text("content")}
	}
	if b := o.object("suggested_question"); b != nil {
		m.SuggestedQuestion = &SuggestedQuestion{Question: b.text("question"), Answer: b.text("answer")}
	}
	if b := o.object("chat_prompt"); b != nil {
		m.ChatPrompt = &ChatPrompt{Title: b.text("title"), Content: b.text("content")}
	}
	if m != (AutoMessage{}) {
		d.AutoMessage = &m
	}
}

// object is JSON that is read leniently: what has another shape than expected is as good as missing.
type object map[string]json.RawMessage

func decodeObject(raw json.RawMessage) object {
	var o object
	if json.Unmarshal(raw, &o) != nil {
		return nil
	}
	return o
}

func (o object) object(name string) object { return decodeObject(o[name]) }

// text is a string, or a number with the digits that TikTok wrote.
func (o object) text(name string) string {
	d := json.NewDecoder(bytes.NewReader(o[name]))
	d.UseNumber()
	var v any
	_ = d.Decode(&v) // v stays nil: there is no text
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}
