package inbound

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	appSecret = "inbound-app-secret"
	// maxEvent is how much of a delivery is read.
	maxEvent = 1 << 20
	// textPrefix begins the text of every message; the event's two numbers follow.
	textPrefix = "Numbered"
)

// message is the webhook of an event, as TikTok writes it.
func message(appID, business string, e Event, at time.Time) []byte {
	user := fmt.Sprintf("user-%d", e.Conversation)
	content := fmt.Sprintf(`{"from":"%[1]s","to":"shop","unique_identifier":"uid-%[1]s","from_user":{"id":"%[1]s","role":"personal_account"},`+
		`"to_user":{"id":"%[2]s","role":"business_account"},"conversation_id":"%[3]s","message_id":"%[4]d","timestamp":%[5]d,`+
		`"is_follower":true,"scene_type":1,"type":"text","text":{"body":"%[6]s %[7]d %[8]d Can it be here by Friday?"}}`,
		user, business, conversationID(e.Conversation), 7_500_000_000_000_000_000+e.Conversation*1_000_000+e.Number, at.UnixMilli(),
		textPrefix, e.Conversation, e.Number)
	return fmt.Appendf(nil, `{"client_key":"%s","event":"im_receive_msg","create_time":%d,"user_openid":"%s","content":"%s"}`,
		appID, at.Unix(), business, strings.ReplaceAll(content, `"`, `\"`))
}

func conversationID(n int) string { return fmt.Sprintf("conversation-%d", n) }

// read makes a Delivery of a request, and says what is wrong with it. source is the channel that it must come from. whole is false if the
// connection ended first: there was no delivery then.
func read(r *http.Request, source string, check func(http.Header, []byte) string) (d Delivery, whole bool) {
	d.ID = r.Header.Get("Ce-Id")
	body, err := io.ReadAll(io.LimitReader(r.Body, maxEvent))
	if err != nil {
		return d, false
	}
	d.Problem = check(r.Header, body)
	var data struct {
		Text           string `json:"text"`
		ConversationID string `json:"conversationID"`
	}
	if err := json.Unmarshal(body, &data); err != nil {
		d.Problem = fmt.Sprintf("its data is not what it should be: %v; %s %s with %v has %.200q", err, r.Method, r.URL, r.Header, body)
		return d, true
	}
	if _, err := fmt.Sscanf(data.Text, textPrefix+" %d %d", &d.Conversation, &d.Number); err != nil {
		d.Problem = fmt.Sprintf("its text is %q", data.Text)
		return d, true
	}
	for header, want := range map[string]string{
		"Ce-Specversion": "1.0", "Ce-Type": "io.tiktok-operator.message.received", "Ce-Source": source,
		"Ce-Subject": conversationID(d.Conversation), "Ce-Partitionkey": conversationID(d.Conversation), "Content-Type": "application/json",
	} {
		if got := r.Header.Get(header); got != want {
			d.Problem = fmt.Sprintf("its %s is %q, want %q", header, got, want)
		}
	}
	if d.ID == "" || data.ConversationID != conversationID(d.Conversation) {
		d.Problem = fmt.Sprintf("its id is %q and its conversation %q", d.ID, data.ConversationID)
	}
	return d, true
}
