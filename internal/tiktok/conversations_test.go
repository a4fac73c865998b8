package tiktok_test

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

func TestConversations(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	for name, tt := range map[string]struct {
		data string
		want *tiktok.ConversationPage // nil means malformed
	}{
		"a page with another": {
			`{"conversations":[{"conversation_id":"a+/==","update_time":1700000000123,"referral":{"ad":[]}},{"conversation_id":7296543210987654321,"update_time":"1700000000"}],"has_more":true,"cursor":20}`,
			&tiktok.ConversationPage{Cursor: "20", Conversations: []tiktok.Conversation{{ID: "a+/==", UpdatedAt: at}, {ID: "7296543210987654321", UpdatedAt: at.Truncate(time.Second)}}},
		},
		"the last page":                {`{"conversations":[{"conversation_id":"a"}],"has_more":false,"cursor":"20"}`, &tiktok.ConversationPage{Conversations: []tiktok.Conversation{{ID: "a"}}}},
		"one that does not say if":     {`{"conversations":[],"cursor":"20"}`, &tiktok.ConversationPage{Cursor: "20"}},
		"odd items":                    {`{"conversations":[7,null,{},{"conversation_id":{}},{"conversation_id":"a","update_time":"never"}],"has_more":"false"}`, &tiktok.ConversationPage{Conversations: []tiktok.Conversation{{ID: "a"}}}},
		"nothing":                      {`{}`, &tiktok.ConversationPage{}},
		"null":                         {`{"conversations":null}`, &tiktok.ConversationPage{}},
		"something else than the list": {`{"conversations":"none"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, serve(t, answerJSON(`{"code":0,"data":`+tt.data+`}`)).URL)
			got, err := client.Conversations(soon(t), access, "-000biz", tiktok.ConversationSingle, 1000, "")
			if tt.want == nil {
				if e := asError(t, err); e.Class != tiktok.ClassMalformed {
					t.Fatalf("got %+v, want it malformed", e)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
	server := serve(t, answerJSON(`{"code":0,"data":{}}`))
	for limit, want := range map[int]string{0: "1", 1: "1", 100: "100", 101: "100"} {
		if _, err := newClient(t, server.URL).Conversations(soon(t), access, "b", tiktok.ConversationSingle, limit, ""); err != nil {
			t.Fatal(err)
		}
		requests := server.taken()
		query := requests[len(requests)-1].query
		if _, given := query["cursor"]; query["limit"][0] != want || given {
			t.Errorf("limit %d: the query is %v", limit, query)
		}
	}
}

// TestListedMessagesReadAsWebhooks: what a list shows of a message decodes to what the webhook of that message would.
func TestListedMessagesReadAsWebhooks(t *testing.T) {
	const people = `"from_user":{"id":"u","role":"PERSONAL_ACCOUNT"},"to_user":{"id":"-000biz","role":"BUSINESS_ACCOUNT"}`
	const hooked = `"from_user":{"id":"u","role":"personal_account"},"to_user":{"id":"-000biz","role":"business_account"}`
	for name, tt := range map[string]struct{ listed, webhook string }{
		"text": {
			`{"message_id":7296543210987654321,"conversation_id":"c+/=","sender":"ann","recipient":"shop",` + people + `,"timestamp":1700000000123,"message_type":"TEXT","text":{"body":"HI <b> 👋"},"message_tag":{"source":"APP"}}`,
			`{"message_id":7296543210987654321,"conversation_id":"c+/=","from":"ann","to":"shop",` + hooked + `,"timestamp":1700000000123,"type":"text","text":{"body":"HI <b> 👋"},"message_tag":{"source":"APP"}}`,
		},
		"a card": {
			`{"message_id":"m","message_type":"TEMPLATE","template":{"type":"QA_BUTTON_CARD","elements":[{"title":"T"}]}}`,
			`{"message_id":"m","conversation_id":"c+/=","type":"template","template":{"type":"qa_button_card","elements":[{"title":"T"}]}}`,
		},
		"other, with a number that no float holds": {
			`{"message_id":"m","message_type":"OTHER","new":{"n":9007199254740993}}`,
			`{"message_id":"m","conversation_id":"c+/=","type":"other","new":{"n":9007199254740993}}`,
		},
		"the webhook's own names": {
			`{"message_id":"m","type":"text","message_type":"IMAGE","from":"ann","sender":"eve","text":{"body":"hi"}}`,
			`{"message_id":"m","conversation_id":"c+/=","type":"text","from":"ann","text":{"body":"hi"}}`,
		},
		"odd people": {`{"from_user":"u","to_user":[1]}`, `{"conversation_id":"c+/=","from_user":"u","to_user":[1]}`},
		"no object":  {`"hello"`, `{"conversation_id":"c+/="}`},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, serve(t, answerJSON(`{"code":0,"data":{"participants":"?","messages":[`+tt.listed+`,{"message_id":"next"}]}}`)).URL)
			got, err := client.ConversationMessages(soon(t), access, "-000biz", "c+/=")
			if err != nil || len(got) != 2 || got[1].ID != "next" {
				t.Fatalf("got %+v, %v", got, err)
			}
			if have, want := exact(t, string(got[0].Content)), exact(t, tt.webhook); !reflect.DeepEqual(have, want) {
				t.Errorf("content %s\nwant    %s", have, want)
			}
			decoded, err := tiktok.DecodeMessageContent(got[0].Content)
			if err != nil {
				if name != "odd people" {
					t.Fatal(err)
				}
				return
			}
			if decoded.MessageID != got[0].ID || !decoded.Timestamp.Equal(got[0].Timestamp) || decoded.FromUser != got[0].FromUser || decoded.ToUser != got[0].ToUser {
				t.Errorf("%+v, its content says %+v", got[0], decoded)
			}
		})
	}
}

// exact decodes JSON with the digits of its numbers.
func exact(t *testing.T, text string) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestInbound(t *testing.T) {
	user, business := tiktok.Participant{ID: "u"}, tiktok.Participant{ID: "-000biz"}
	for _, tt := range []struct {
		from, to tiktok.Participant
		want     bool
	}{
		{user, business, true}, {business, user, false}, {tiktok.Participant{}, business, true}, {business, tiktok.Participant{}, false},
		{tiktok.Participant{Role: tiktok.RolePersonal}, tiktok.Participant{}, true}, {tiktok.Participant{Role: tiktok.RoleBusiness}, tiktok.Participant{}, false},
		{tiktok.Participant{}, tiktok.Participant{Role: tiktok.RoleBusiness}, true}, {tiktok.Participant{}, tiktok.Participant{}, false},
	} {
		m := tiktok.ConversationMessage{FromUser: tt.from, ToUser: tt.to}
		if got := m.Inbound("-000biz"); got != tt.want {
			t.Errorf("from %+v to %+v: inbound %v", tt.from, tt.to, got)
		}
	}
}

// FuzzConversationMessages: whatever is listed, each item is a message whose content is an object of the webhook's form, with the id and the
// conversation that the message names.
func FuzzConversationMessages(f *testing.F) {
	for _, item := range tiktok.ListedMessages(f) {
		f.Add(item, "dGhpcyBpcyBhIGNvbnZlcnNhdGlvbg==")
	}
	f.Add([]byte(`{"message_id":7296543210987654321,"conversation_id":"c+/=","sender":"ann","message_type":"TEXT","text":{"body":"<"}}`), "c")
	f.Add([]byte(`{"message_type":{},"type":null,"from_user":{"role":7},"template":[],"timestamp":1e400}`), "+/==")
	f.Add([]byte(`null`), "")
	f.Add([]byte(`{"conversation_id":0,"message_id":"\ud800"}`), "\xff")
	f.Fuzz(func(t *testing.T, item []byte, conversation string) {
		if !json.Valid(item) || conversation == "" {
			return
		}
		client, err := tiktok.NewClient(tiktok.Config{AppID: appID, AppSecret: appSecret, HTTPClient: &http.Client{Transport: canned{
			status: 200, body: []byte(`{"code":0,"data":{"messages":[` + string(item) + `]}}`),
		}}})
		if err != nil {
			t.Fatal(err)
		}
		messages, err := client.ConversationMessages(context.Background(), access, "b", conversation)
		if err != nil || len(messages) != 1 {
			t.Fatalf("%s: %+v, %v", item, messages, err)
		}
		m := messages[0]
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(m.Content, &fields); err != nil || fields == nil {
			t.Fatalf("%s became %s", item, m.Content)
		}
		for _, name := range []string{"sender", "recipient", "message_type"} {
			if _, there := fields[name]; there {
				t.Fatalf("%s became %s", item, m.Content)
			}
		}
		decoded, err := tiktok.DecodeMessageContent(m.Content)
		if err != nil {
			return // a part that carries the message is odd
		}
		if decoded.MessageID != m.ID || decoded.ConversationID == "" || decoded.Type != strings.ToLower(decoded.Type) {
			t.Fatalf("%s became %+v", item, decoded)
		}
	})
}

// FuzzConversations: a page has conversations with ids, or there is an error.
func FuzzConversations(f *testing.F) {
	f.Add([]byte(`{"conversations":[{"conversation_id":"a","update_time":1785578400123,"referral":{"ad":[{"ad_id":"1","timestamp":1785578400}],` +
		`"short_link":[{"ref":"r"}]}},{"conversation_id":"b","update_time":"1785578400"}],"has_more":false,"cursor":2}`))
	f.Add([]byte(`{"conversations":[],"has_more":false,"cursor":0}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"conversations":[{"conversation_id":"a+/==","update_time":1700000000123}],"has_more":true,"cursor":20}`))
	f.Add([]byte(`{"conversations":[[],{"conversation_id":null}],"has_more":"no","cursor":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		client, err := tiktok.NewClient(tiktok.Config{AppID: appID, AppSecret: appSecret, HTTPClient: &http.Client{Transport: canned{
			status: 200, body: []byte(`{"code":0,"data":` + string(data) + `}`),
		}}})
		if err != nil {
			t.Fatal(err)
		}
		page, err := client.Conversations(context.Background(), access, "b", tiktok.ConversationSingle, 5, "")
		if (err == nil) == (page == nil) {
			t.Fatalf("%+v, %v", page, err)
		}
		if err != nil {
			_ = asError(t, err)
			return
		}
		for _, c := range page.Conversations {
			if c.ID == "" || c.UpdatedAt.Year() > 9999 {
				t.Fatalf("%+v", c)
			}
		}
	})
}
