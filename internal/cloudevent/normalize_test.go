package cloudevent_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

var received = time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)

// envelope makes a webhook's body; the content is TikTok's string of JSON.
func envelope(event, content string) string {
	quoted, _ := json.Marshal(content)
	return `{"client_key":"app","event":"` + event + `","create_time":1780000000,"user_openid":"-biz","content":` + string(quoted) + `}`
}

const common = `"from":"ann","to":"shop","unique_identifier":"user-1","from_user":{"id":"u1","role":"personal_account"},` +
	`"to_user":{"id":"-biz","role":"BUSINESS_ACCOUNT"},"conversation_id":"a+b/c=","timestamp":1780000000123,"is_follower":true`

const outbound = `"from":"shop","to":"ann","from_user":{"id":"-biz","role":"business_account"},"to_user":{"id":"u1","role":"personal_account"},` +
	`"conversation_id":"a+b/c=","timestamp":"1780000000123"`

func normalize(t *testing.T, body string) (cloudevent.Event, map[string]any) {
	t.Helper()
	e, err := cloudevent.Normalize(cloudevent.Input{ID: "evt_1", Namespace: "ns", Name: "ch", Body: []byte(body), ReceivedAt: received})
	if err != nil {
		t.Fatal(err)
	}
	conforms(t, e)
	var data map[string]any
	d := json.NewDecoder(bytes.NewReader(e.Data))
	d.UseNumber()
	if err := d.Decode(&data); err != nil {
		t.Fatalf("%v in %s", err, e.Data)
	}
	return e, data
}

// Times of envelope, common and outbound.
var (
	atContent  = time.UnixMilli(1780000000123).UTC()
	atEnvelope = time.Unix(1780000000, 0).UTC()
)

// normalized is what becomes of a webhook.
type normalized struct {
	body      string
	eventType string
	time      time.Time
	subject   string
	data      string // what data holds besides raw
}

func (n normalized) check(t *testing.T) {
	e, data := normalize(t, n.body)
	if e.Type != n.eventType || !e.Time.Equal(n.time) || e.Subject != n.subject || e.ID != "evt_1" ||
		e.Source != "/apis/channels.tiktok-operator.io/v1alpha1/namespaces/ns/tiktokchannels/ch" {
		t.Errorf("got %+v", e)
	}
	if partition := e.PartitionKey; n.subject != "" && partition != n.subject {
		t.Errorf("the partition key is %q", partition)
	}
	raw, ok := data["raw"]
	if !ok {
		t.Error("raw is missing")
	}
	if body := []byte(n.body); json.Valid(body) {
		want, _ := json.Marshal(raw)
		var b bytes.Buffer
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		var v any
		_ = d.Decode(&v)
		got, _ := json.Marshal(v)
		if b.Write(got); !bytes.Equal(want, b.Bytes()) {
			t.Errorf("raw is %s, want %s", want, got)
		}
	} else if raw != strings.ToValidUTF8(n.body, "\uFFFD") {
		t.Errorf("raw is %q", raw)
	}
	delete(data, "raw")
	var want map[string]any
	if err := json.Unmarshal([]byte(n.data), &want); err != nil {
		t.Fatal(err)
	}
	gotText, _ := json.Marshal(data)
	wantText, _ := json.Marshal(want)
	if !bytes.Equal(gotText, wantText) {
		t.Errorf("data is\n%s, want\n%s", gotText, wantText)
	}
}

func TestNormalize(t *testing.T) {
	for name, want := range map[string]normalized{
		"text received": {
			body:      envelope("im_receive_msg", `{`+common+`,"message_id":"7498765432109876543","type":"text","text":{"body":"hi <b>& ü"},"referenced_message_info":{"referenced_message_id":"m0"}}`),
			eventType: "io.tiktok-operator.message.received", time: atContent, subject: "a+b/c=",
			data: `{"event":"im_receive_msg","businessID":"-biz","conversationID":"a+b/c=","messageID":"7498765432109876543","direction":"inbound",
				"kind":"text","text":"hi <b>& ü","sender":{"id":"u1","username":"ann","role":"personal_account"},
				"recipient":{"id":"-biz","username":"shop","role":"business_account"},"userID":"user-1","isFollower":true,"replyTo":"m0"}`,
		},
		"echo of the API": {
			body:      envelope("im_send_msg", `{`+outbound+`,"message_id":12345678901234567890,"type":"text","text":{"body":""},"message_tag":{"source":"API"}}`),
			eventType: "io.tiktok-operator.message.sent", time: atContent, subject: "a+b/c=",
			data: `{"event":"im_send_msg","businessID":"-biz","conversationID":"a+b/c=","messageID":"12345678901234567890","direction":"outbound",
				"kind":"text","text":"","origin":"api","sender":{"id":"-biz","username":"shop","role":"business_account"},
				"recipient":{"id":"u1","username":"ann","role":"personal_account"}}`,
		},
		"sent in the app, without participants": {
			body:      envelope("im_send_msg", `{"conversation_id":"c","message_id":"m","type":"IMAGE","image":{"media_id":"x"},"message_tag":{"source":"app"},"auto_message_type":"AUTO_REPLY"}`),
			eventType: "io.tiktok-operator.message.sent", time: atEnvelope, subject: "c",
			data: `{"event":"im_send_msg","businessID":"-biz","conversationID":"c","messageID":"m","direction":"outbound","kind":"image",
				"media":{"id":"x"},"origin":"app","automatic":"AUTO_REPLY"}`,
		},
		"sent from somewhere new": {
			body:      envelope("im_send_msg", `{"conversation_id":"c","message_id":"m","type":"video","video":{"media_id":"v"},"message_tag":{"source":"TELEPATHY"}}`),
			eventType: "io.tiktok-operator.message.sent", time: atEnvelope, subject: "c",
			data: `{"event":"im_send_msg","businessID":"-biz","conversationID":"c","messageID":"m","direction":"outbound","kind":"video","media":{"id":"v"},"origin":"other"}`,
		},
		"shared post": {
			body:      envelope("im_receive_msg", `{"conversation_id":"c","message_id":"m","type":"share_post","share_post":{"embed_url":"https://x","video_id":7498765432109876543}}`),
			eventType: "io.tiktok-operator.message.received", time: atEnvelope, subject: "c",
			data: `{"event":"im_receive_msg","businessID":"-biz","conversationID":"c","messageID":"m","direction":"inbound","kind":"share_post",
				"sharePost":{"embedURL":"https://x","videoID":"7498765432109876543"}}`,
		},
		"sticker": {
			body:      envelope("im_receive_msg", `{"conversation_id":"c","message_id":"m","type":"sticker","sticker":{"url":"https://x"}}`),
			eventType: "io.tiktok-operator.message.received", time: atEnvelope, subject: "c",
			data: `{"event":"im_receive_msg","businessID":"-biz","conversationID":"c","messageID":"m","direction":"inbound","kind":"sticker",
				"sticker":{"url":"https://x"}}`,
		},
		"no kind": {
			body:      envelope("im_receive_msg", `{"conversation_id":"c"}`),
			eventType: "io.tiktok-operator.message.received", time: atEnvelope, subject: "c",
			data: `{"event":"im_receive_msg","businessID":"-biz","conversationID":"c","direction":"inbound","kind":"unknown","unsupported":true}`,
		},
		"read": {
			body:      envelope("im_mark_read_msg", `{`+common+`,"read":{"last_read_timestamp":1780000000001}}`),
			eventType: "io.tiktok-operator.message.read", time: atContent, subject: "a+b/c=",
			data: `{"event":"im_mark_read_msg","businessID":"-biz","conversationID":"a+b/c=","sender":{"id":"u1","username":"ann","role":"personal_account"},
				"recipient":{"id":"-biz","username":"shop","role":"business_account"},"userID":"user-1","isFollower":true,"readUpTo":"2026-05-28T20:26:40.001Z"}`,
		},
		"EEA, CH, UK": {
			body:      envelope("im_receive_msg_eu", `{"to":"shop","to_user":{"id":"-biz"},"timestamp":1780000000123}`),
			eventType: "io.tiktok-operator.message.received.eu", time: atContent,
			data: `{"event":"im_receive_msg_eu","businessID":"-biz","recipient":{"id":"-biz","username":"shop"}}`,
		},
		"unknown event": {
			body: envelope("comment.update", `{"comment_id":7498765432109876543}`), eventType: "io.tiktok-operator.unknown", time: atEnvelope,
			data: `{"event":"comment.update","businessID":"-biz"}`,
		},
		"unknown event of a conversation": {
			body: envelope("im_new", `{"conversation_id":"c"}`), eventType: "io.tiktok-operator.unknown", time: atEnvelope, subject: "c",
			data: `{"event":"im_new","businessID":"-biz","conversationID":"c"}`,
		},
		"content of another shape": {
			body: envelope("im_receive_msg", `["x"]`), eventType: "io.tiktok-operator.unknown", time: atEnvelope,
			data: `{"event":"im_receive_msg","businessID":"-biz","undecodable":true}`,
		},
		"no content": {
			body: `{"event":"im_receive_msg"}`, eventType: "io.tiktok-operator.message.received", time: received,
			data: `{"event":"im_receive_msg","direction":"inbound","kind":"unknown","unsupported":true}`,
		},
		"no JSON": {
			body: "\xffnot json", eventType: "io.tiktok-operator.unknown", time: received, data: `{"undecodable":true}`,
		},
	} {
		t.Run(name, want.check)
	}
}

func TestUnfitConversationsBecomeHashes(t *testing.T) {
	long, _ := normalize(t, envelope("im_receive_msg", `{"conversation_id":"`+strings.Repeat("x", 600)+`"}`))
	other, _ := normalize(t, envelope("im_receive_msg", `{"conversation_id":"`+strings.Repeat("x", 601)+`"}`))
	control, data := normalize(t, envelope("im_receive_msg", `{"conversation_id":"a\r\nCe-Id: evil"}`))
	for _, e := range []cloudevent.Event{long, other, control} {
		if !strings.HasPrefix(e.Subject, "sha256-") || e.PartitionKey != e.Subject {
			t.Errorf("got %q", e.Subject)
		}
	}
	if long.Subject == other.Subject || data["conversationID"] != "a\r\nCe-Id: evil" {
		t.Error("conversations are mixed up")
	}
}

// decodeHeader is the receiver's part of the HTTP protocol binding.
func decodeHeader(t *testing.T, s string) string {
	t.Helper()
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '"' {
			t.Fatalf("%q is not encoded", s)
		}
	}
	v, err := url.PathUnescape(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return v
}

func TestHeaderEncoding(t *testing.T) {
	e := cloudevent.Event{ID: `a"b c%20`, Source: "/s", Type: "t", Subject: "Euro € 😀", Time: time.Date(2026, 8, 1, 12, 0, 0, 5e6, time.FixedZone("", 7200))}
	h := e.Header()
	for name, want := range map[string]string{
		"Ce-Id": "a%22b%20c%2520", "Ce-Subject": "Euro%20%E2%82%AC%20%F0%9F%98%80", "Ce-Time": "2026-08-01T10:00:00.005Z", "Ce-Specversion": "1.0",
		"Content-Type": "application/json", "Ce-Partitionkey": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if _, ok := h["Ce-Partitionkey"]; ok {
		t.Error("an empty attribute was sent")
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add(envelope("im_receive_msg", `{`+common+`,"message_id":"1","type":"text","text":{"body":"x"}}`), "evt_1")
	f.Add(envelope("im_send_msg", `{`+outbound+`,"message_id":12345678901234567890,"type":"reaction"}`), "evt_1")
	f.Add(envelope("im_mark_read_msg", `{"read":{"last_read_timestamp":9223372036854775807},"timestamp":-1}`), "evt_1")
	f.Add(envelope("im_receive_msg", `{"conversation_id":"\ud800\u0000\u202e"}`), "%\"\x7f")
	f.Add(`{"event":"x","content":{"a":1e999},"user_openid":18446744073709551615}`, "ü")
	f.Add("\xff{", "")
	f.Fuzz(func(t *testing.T, body, id string) {
		in := cloudevent.Input{ID: id, Namespace: "ns", Name: "ch", Body: []byte(body), ReceivedAt: received}
		e, err := cloudevent.Normalize(in)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := cloudevent.Normalize(in)
		if again.Subject != e.Subject || again.Type != e.Type || !again.Time.Equal(e.Time) || !bytes.Equal(again.Data, e.Data) {
			t.Fatal("the same input gave two events")
		}
		if e.Type == "" || e.Source == "" || !utf8.Valid(e.Data) {
			t.Fatalf("got %+v", e)
		}
		conforms(t, e)
		var data struct {
			Raw json.RawMessage `json:"raw"`
		}
		if err := json.Unmarshal(e.Data, &data); err != nil || data.Raw == nil {
			t.Fatalf("data %s: %v", e.Data, err)
		}
		if json.Valid([]byte(body)) && utf8.ValidString(body) {
			// Every digit of what TikTok sent is there.
			var want, got bytes.Buffer
			_ = json.Compact(&want, []byte(body))
			_ = json.Compact(&got, data.Raw)
			if !bytes.Equal(want.Bytes(), got.Bytes()) {
				t.Fatalf("raw is %s, want %s", got.Bytes(), want.Bytes())
			}
		}
		if id != "" {
			binaryMode(t, e)
		}
		// What is sent arrives, over real HTTP.
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(e.Data))
		r.Header = e.Header()
		var wire bytes.Buffer
		if err := r.Write(&wire); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"Ce-Subject": e.Subject, "Ce-Partitionkey": e.PartitionKey, "Ce-Id": id} {
			if got := decodeHeader(t, r.Header.Get(name)); got != want {
				t.Fatalf("%s arrives as %q, was %q", name, got, want)
			}
		}
		if _, err := time.Parse(time.RFC3339Nano, r.Header.Get("Ce-Time")); err != nil {
			t.Fatal(err)
		}
	})
}
