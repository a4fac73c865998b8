package tiktok_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const common = `"from":"ann","to":"shop","unique_identifier":"u-1","from_user":{"id":"u","role":"PERSONAL_ACCOUNT"},` +
	`"to_user":{"id":"-000abc","role":"business_account"},"conversation_id":"c+/=","timestamp":1700000000123,"is_follower":true,"scene_type":"DM"`

func commonContent(change func(*tiktok.MessageContent)) *tiktok.MessageContent {
	yes := true
	m := &tiktok.MessageContent{
		From: "ann", To: "shop", UniqueIdentifier: "u-1", ConversationID: "c+/=", Timestamp: time.UnixMilli(1_700_000_000_123).UTC(),
		FromUser: tiktok.Participant{ID: "u", Role: tiktok.RolePersonal}, ToUser: tiktok.Participant{ID: "-000abc", Role: tiktok.RoleBusiness},
		IsFollower: &yes, SceneType: "DM",
	}
	change(m)
	return m
}

func TestDecodeMessageContent(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	tests := map[string]struct {
		content string
		want    *tiktok.MessageContent // nil: ErrContent
	}{
		"text": {
			`{` + common + `,"message_id":"m","type":"text","text":{"body":"hi 👋"},"message_tag":{"source":"api"},"referenced_message_info":{"referenced_message_id":"m0"}}`,
			commonContent(func(m *tiktok.MessageContent) {
				m.MessageID, m.Type, m.Text, m.Source, m.ReferencedMessageID = "m", "text", "hi 👋", "API", "m0"
			}),
		},
		"image":      {`{` + common + `,"type":"IMAGE","image":{"media_id":7296543210987654321}}`, commonContent(func(m *tiktok.MessageContent) { m.Type, m.MediaID = "image", "7296543210987654321" })},
		"video":      {`{` + common + `,"type":"video","video":{"media_id":"v"}}`, commonContent(func(m *tiktok.MessageContent) { m.Type, m.MediaID = "video", "v" })},
		"share_post": {`{` + common + `,"type":"share_post","share_post":{"embed_url":"https://e","video_id":"9"}}`, commonContent(func(m *tiktok.MessageContent) { m.Type, m.EmbedURL, m.VideoID = "share_post", "https://e", "9" })},
		"sticker":    {`{` + common + `,"type":"sticker","sticker":{"url":"https://s"}}`, commonContent(func(m *tiktok.MessageContent) { m.Type, m.StickerURL = "sticker", "https://s" })},
		"emoji":      {`{` + common + `,"type":"emoji","emoji":{"url":"https://e"}}`, commonContent(func(m *tiktok.MessageContent) { m.Type, m.EmojiURL = "emoji", "https://e" })},
		"reaction": {
			`{` + common + `,"type":"reaction","reaction":[{"operation":"add","type":"EMOJI","emoji":"😀","ai_emoji_url":"","unique_identifier":"u-1","timestamp":"1700000000123","original_msg_id":"m0"}]}`,
			commonContent(func(m *tiktok.MessageContent) {
				m.Type = "reaction"
				m.Reactions = []tiktok.Reaction{{Operation: "ADD", Type: "EMOJI", Emoji: "😀", UniqueIdentifier: "u-1", Timestamp: at, OriginalMessageID: "m0"}}
			}),
		},
		"template": {
			`{` + common + `,"type":"template","template":{"type":"QA_BUTTON_CARD","elements":[{"title":"T","buttons":[{"text":"Yes","type":"REPLY","id":"y"}]}]},"auto_message_type":"welcome_message"}`,
			commonContent(func(m *tiktok.MessageContent) {
				m.Type, m.AutoMessageType = "template", "WELCOME_MESSAGE"
				m.Template = &tiktok.Template{Type: "qa_button_card", Elements: []tiktok.TemplateElement{{Title: "T", Buttons: []tiktok.Button{{Type: "reply", ID: "y", Text: "Yes"}}}}}
			}),
		},
		"a button's reply": {
			`{"reply_source_payload":{"reply_source_msg_id":"m0","reply_source_unique_id":"y"}}`,
			&tiktok.MessageContent{ReplySource: &tiktok.ReplySource{MessageID: "m0", UniqueID: "y"}},
		},
		"a read mark": {`{` + common + `,"read":{"last_read_timestamp":1700000000123}}`, commonContent(func(m *tiktok.MessageContent) { m.LastReadTimestamp = at })},
		"a referral by an ad": {
			`{"referral":{"source":"AD","ad":{"advertiser_id":7296543210987654321,"ad_id":"2","ad_name":"N","timestamp":1700000000,"embed_url":"https://e","message_material_id":3}}}`,
			&tiktok.MessageContent{Referral: &tiktok.Referral{Source: "ad", Ad: &tiktok.ReferralAd{
				AdvertiserID: "7296543210987654321", AdID: "2", AdName: "N", Timestamp: at.Truncate(time.Second), EmbedURL: "https://e", MessageMaterialID: "3",
			}}},
		},
		"a referral by a link": {
			`{"referral":{"source":"short_link","short_link":{"ref":"r","prefilled_message":"hello","prefilled_message_audit_status":"APPROVED"}}}`,
			&tiktok.MessageContent{Referral: &tiktok.Referral{Source: "short_link", ShortLink: &tiktok.ReferralShortLink{
				Ref: "r", PrefilledMessage: "hello", PrefilledMessageAuditStatus: "APPROVED",
			}}},
		},
		"a comment":                   {`{"comment_id":7296543210987654321,"comment_text":"price?"}`, &tiktok.MessageContent{CommentID: "7296543210987654321", CommentText: "price?"}},
		"of the EEA":                  {`{"to":"shop","to_user":{"id":"b"},"timestamp":1700000000123}`, &tiktok.MessageContent{To: "shop", ToUser: tiktok.Participant{ID: "b"}, Timestamp: at}},
		"nothing but an object":       {`{}`, &tiktok.MessageContent{}},
		"nulls":                       {`{"text":null,"from_user":null,"type":null,"timestamp":null,"is_follower":null,"template":null,"referral":null,"reaction":null}`, &tiktok.MessageContent{}},
		"a kind that is new":          {`{"type":"HOLOGRAM","hologram":{"x":1}}`, &tiktok.MessageContent{Type: "hologram"}},
		"times that nobody can write": {`{"timestamp":9223372036854775807,"read":{"last_read_timestamp":-5}}`, &tiktok.MessageContent{}},
		"odd company": {
			`{"type":"text","text":{"body":"hi"},"is_follower":[],"timestamp":[],"message_tag":"API","referral":[],"template":"x","reaction":{"emoji":"x"},"read":7,"reply_source_payload":"y","referenced_message_info":"m0","sticker":"s"}`,
			&tiktok.MessageContent{Type: "text", Text: "hi"},
		},
		"a text that is no block":    {`{"type":"text","text":"hi"}`, nil},
		"an image that is no block":  {`{"type":"image","image":["x"]}`, nil},
		"a person who is no block":   {`{"from_user":"u"}`, nil},
		"a string":                   {`"half {"`, nil},
		"a list":                     {`[]`, nil},
		"nothing at all":             {``, nil},
		"half an object":             {`{"type":"text"`, nil},
		"an object and more than it": {`{}{}`, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tiktok.DecodeMessageContent(json.RawMessage(tt.content))
			if tt.want == nil {
				if !errors.Is(err, tiktok.ErrContent) || got != nil {
					t.Fatalf("got %+v, %v; want ErrContent", got, err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got  %+v, %v\nwant %+v", got, err, tt.want)
			}
		})
	}
	for text, want := range map[string]any{"true": true, "false": false, `"true"`: true, `"FALSE"`: false, "1": true, "0": false, `"maybe"`: nil, "2": nil} {
		m, err := tiktok.DecodeMessageContent(json.RawMessage(`{"is_follower":` + text + `}`))
		if err != nil || (want == nil) != (m.IsFollower == nil) || (m.IsFollower != nil && *m.IsFollower != want) {
			t.Errorf("is_follower %s: %+v, %v; want %v", text, m, err, want)
		}
	}
}

// FuzzDecodeMessageContent: an id comes out as it went in, to the digit; times can be written; what is no object is refused.
func FuzzDecodeMessageContent(f *testing.F) {
	for _, content := range tiktok.WireContents(f) {
		f.Add(content, int64(7498765432109876543), "f2c1d9a0")
	}
	f.Add([]byte(`{`+common+`,"type":"text","text":{"body":"hi"}}`), int64(7296543210987654321), "m")
	f.Add([]byte(`{"reaction":[{"timestamp":1e400}],"referral":{"ad":{"timestamp":253370764800000}}}`), int64(-1), "\xff")
	f.Add([]byte(`{"is_follower":"TRUE","timestamp":"99999999999999999999","template":{"elements":[{"buttons":[{}]}]}}`), int64(0), "")
	f.Add([]byte(`"x"`), int64(1), "\u2028")
	f.Fuzz(func(t *testing.T, raw []byte, number int64, id string) {
		m, err := tiktok.DecodeMessageContent(raw)
		if (err == nil) == (m == nil) || (err != nil && !errors.Is(err, tiktok.ErrContent)) {
			t.Fatalf("got %+v, %v", m, err)
		}
		if err == nil {
			if !json.Valid(raw) {
				t.Fatalf("%q is accepted", raw)
			}
			if _, err := json.Marshal(m); err != nil {
				t.Fatalf("it cannot be written: %v", err)
			}
			if m.Type != strings.ToLower(m.Type) || m.Source != strings.ToUpper(m.Source) {
				t.Fatalf("type %q, source %q", m.Type, m.Source)
			}
		}
		text, err := json.Marshal(map[string]any{"comment_id": number, "message_id": id, "conversation_id": id})
		if err != nil {
			t.Fatal(err)
		}
		m, err = tiktok.DecodeMessageContent(text)
		clean := strings.ToValidUTF8(id, "\uFFFD")
		if err != nil || strings.ToValidUTF8(m.MessageID, "\uFFFD") != m.MessageID || m.CommentID != json.Number(m.CommentID).String() {
			t.Fatalf("%s: %+v, %v", text, m, err)
		}
		if got, err := json.Number(m.CommentID).Int64(); err != nil || got != number {
			t.Fatalf("the number %d became %q", number, m.CommentID)
		}
		if id == clean && (m.MessageID != id || m.ConversationID != id) {
			t.Fatalf("the id %q became %q", id, m.MessageID)
		}
	})
}
