package cloudevent_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

// FuzzContent: whatever is in the content of an event that this version knows, the event is as documented, no id loses a digit, and a consumer
// reads what was sent.
func FuzzContent(f *testing.F) {
	for _, in := range wire(f) {
		var e struct {
			Event, Content string
		}
		if !in.Own && json.Unmarshal(in.Body, &e) == nil {
			f.Add(e.Event, e.Content, "7498765432109876543")
		}
	}
	f.Add("im_auto_message_config_update", `{"auto_message_id":null,"welcome_message":[],"chat_prompt":{"title":1e999}}`, "18446744073709551615")
	f.Add("im_referral_msg", `{"referral":{"ad":{"timestamp":1e300},"short_link":null}}`, "-1")
	f.Add("im_receive_msg", `{"type":"reaction","reaction":[{"timestamp":253370764799999},null]}`, "0")
	f.Add("im_receive_msg", `{"type":"template","template":{"elements":[null,{"buttons":[null]}]}}`, "1")
	f.Fuzz(func(t *testing.T, event, content, number string) {
		quotedEvent, _ := json.Marshal(event)
		quoted, _ := json.Marshal(content)
		body := `{"event":` + string(quotedEvent) + `,"user_openid":"-biz","content":` + string(quoted) + `}`
		e, err := cloudevent.Normalize(cloudevent.Input{ID: "evt_1", Namespace: "ns", Name: "ch", Body: []byte(body), ReceivedAt: received})
		if err != nil {
			t.Fatal(err)
		}
		conforms(t, e)
		binaryMode(t, e)
		if !isNumber(number) {
			return
		}
		for event, field := range map[string]string{
			`im_receive_high_intent_comment","content":{"comment_id":` + number + `}`:                                  `"commentID":"` + number + `"`,
			`im_auto_message_audit_update","content":{"auto_message_id":` + number + `}`:                               `"id":"` + number + `"`,
			`im_referral_msg","content":{"referral":{"ad":{"ad_id":` + number + `}}}`:                                  `"adID":"` + number + `"`,
			`im_receive_msg","content":{"reply_source_payload":{"reply_source_msg_id":` + number + `}}`:                `"messageID":"` + number + `"`,
			`im_receive_msg","content":{"type":"reaction","reaction":[{"original_msg_id":` + number + `}]}`:            `"messageID":"` + number + `"`,
			`comment.update","content":{"comment_id":` + number + `,"video_id":1}`:                                     `"comment_id":` + number + `,`,
			`comment.update","content":` + string(mustQuote(t, `{"comment_id":`+number+`,"timestamp":1780000000}`)):    `{\"comment_id\":` + number + `,`,
			`im_receive_msg","content":{"type":"share_post","share_post":{"video_id":` + number + `}},"create_time":1`: `"videoID":"` + number + `"`,
		} {
			e, err := cloudevent.Normalize(cloudevent.Input{ID: "evt_1", Namespace: "ns", Name: "ch", Body: []byte(`{"event":"` + event + `}`)})
			if err != nil || !strings.Contains(string(e.Data), field) {
				t.Fatalf("%s became %s (%v)", event, e.Data, err)
			}
		}
	})
}

func mustQuote(t *testing.T, s string) []byte {
	t.Helper()
	quoted, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return quoted
}

// isNumber says whether a text is a whole number of JSON.
func isNumber(s string) bool {
	return s != "" && strings.Trim(strings.TrimPrefix(s, "-"), "0123456789") == "" && json.Valid([]byte(s))
}

// FuzzHeader: whatever an event's attributes are, a request of it is HTTP; what the protocol allows for, a consumer reads back.
func FuzzHeader(f *testing.F) {
	f.Add("evt_1", "c", "-biz", "io.tiktok-operator.unknown", int64(1780000000))
	f.Add("a\r\nX: y", "\"%\x7f\x00", "ü😀 ", "t", int64(-62135596800))
	f.Add("\xff\xfe", "%zz", "%25", "\u2028", int64(253402300799))
	f.Fuzz(func(t *testing.T, id, subject, partition, eventType string, unix int64) {
		at := time.Unix(unix, 0).UTC()
		if id == "" || eventType == "" || at.Year() < 1 || at.Year() > 9999 || at.IsZero() {
			return // no event of ours: see Event
		}
		binaryMode(t, cloudevent.Event{
			ID: id, Source: cloudevent.Source("ns", "ch"), Type: eventType, Subject: subject, PartitionKey: partition, Time: at, Data: []byte(`{"a":1}`),
		})
	})
}
