package tiktok_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// TestMessagesOnTheWire pins each kind of message, and the actions.
func TestMessagesOnTheWire(t *testing.T) {
	server := serve(t, answerJSON(`{"code":0,"data":{"message":{"message_id":7500000000000000001}}}`))
	client := newClient(t, server.URL)
	card := &tiktok.Card{Type: tiktok.CardLinks, Title: "Where?", Buttons: []tiktok.CardButton{{Title: "Shop", ID: "s"}, {Title: "Home", ID: "h"}}}
	for want, m := range map[string]tiktok.OutgoingMessage{
		`{"message_type":"TEXT","text":{"body":"<b> & 👋"}}`:                                                   {Text: "<b> & 👋"},
		`{"message_type":"IMAGE","image":{"media_id":"m"}}`:                                                   {ImageMediaID: "m"},
		`{"message_type":"SHARE_POST","share_post":{"item_id":"73"}}`:                                         {PostID: "73"},
		`{"message_type":"TEXT","text":{"body":"a"},"referenced_message_info":{"referenced_message_id":"1"}}`: {Text: "a", QuotedMessageID: "1"},
		`{"message_type":"TEMPLATE","template":{"type":"QA_LINK_CARD","title":"Where?","buttons":[` +
			`{"type":"REPLY","title":"Shop","id":"s"},{"type":"REPLY","title":"Home","id":"h"}]}}`: {Card: card},
	} {
		id, err := client.SendMessage(soon(t), access, "-b", "c+/=", m)
		if err != nil || id != "7500000000000000001" {
			t.Fatalf("%s: %q, %v", want, id, err)
		}
		checkSent(t, server, want)
	}
	for _, action := range []tiktok.SenderAction{tiktok.ActionTyping, tiktok.ActionMarkRead} {
		if err := client.SendAction(soon(t), access, "-b", "c+/=", action); err != nil {
			t.Fatal(err)
		}
		checkSent(t, server, `{"message_type":"SENDER_ACTION","sender_action":"`+string(action)+`"}`)
	}
}

func checkSent(t *testing.T, server *fakeTikTok, want string) {
	t.Helper()
	requests := server.taken()
	var got, wanted map[string]any
	if err := json.Unmarshal([]byte(requests[len(requests)-1].body), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	wanted["business_id"], wanted["recipient_type"], wanted["recipient"] = "-b", "CONVERSATION", "c+/="
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("sent %v, want %v", got, wanted)
	}
}

// TestMessagesThatAreNoneAreNotSent: what TikTok could only refuse, or understand in two ways, does not leave.
func TestMessagesThatAreNoneAreNotSent(t *testing.T) {
	server := serve(t, answerJSON(`{"code":0,"data":{"message":{"message_id":"1"}}}`))
	client := newClient(t, server.URL)
	text := tiktok.OutgoingMessage{Text: "a"}
	for name, send := range map[string]func() error{
		"nothing": func() error {
			_, err := client.SendMessage(soon(t), access, "b", "c", tiktok.OutgoingMessage{})
			return err
		},
		"text and image": func() error {
			_, err := client.SendMessage(soon(t), access, "b", "c", tiktok.OutgoingMessage{Text: "a", ImageMediaID: "m"})
			return err
		},
		"quoting image": func() error {
			_, err := client.SendMessage(soon(t), access, "b", "c", tiktok.OutgoingMessage{ImageMediaID: "m", QuotedMessageID: "1"})
			return err
		},
		"no business":     func() error { _, err := client.SendMessage(soon(t), access, "", "c", text); return err },
		"no conversation": func() error { _, err := client.SendMessage(soon(t), access, "b", "", text); return err },
		"no token":        func() error { _, err := client.SendMessage(soon(t), "", "b", "c", text); return err },
		"odd action":      func() error { return client.SendAction(soon(t), access, "b", "c", "DANCE") },
		"no image":        func() error { _, err := client.UploadImage(soon(t), access, "b", tiktok.ImagePNG, nil); return err },
		"another image":   func() error { _, err := client.UploadImage(soon(t), access, "b", "image/gif", []byte("x")); return err },
		"another medium": func() error {
			_, err := client.DownloadMedia(soon(t), access, "b", tiktok.MediaRef{ConversationID: "c", MessageID: "1", MediaID: "m", Type: "AUDIO"}, 1)
			return err
		},
	} {
		if e := asError(t, send()); !e.NotSent || e.Class != tiktok.ClassPermanent {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if n := len(server.taken()); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// TestSentWithoutAnID: a message whose id is not known was sent all the same, which the error must not deny.
func TestSentWithoutAnID(t *testing.T) {
	for _, data := range []string{`{}`, `{"message":{}}`, `{"message":"7"}`, `{"message_id":"7"}`, `null`} {
		client := newClient(t, serve(t, answerJSON(`{"code":0,"data":`+data+`}`)).URL)
		_, err := client.SendMessage(soon(t), access, "b", "c", tiktok.OutgoingMessage{Text: "a"})
		if e := asError(t, err); e.NotSent || e.Class != tiktok.ClassMalformed || !strings.Contains(e.Message, "message_id") {
			t.Errorf("%s: %+v", data, e)
		}
		_, err = client.UploadImage(soon(t), access, "b", tiktok.ImageJPEG, []byte("x"))
		if e := asError(t, err); e.NotSent || e.Class != tiktok.ClassMalformed || !strings.Contains(e.Message, "media_id") {
			t.Errorf("%s, an upload: %+v", data, e)
		}
	}
}

func TestImageCapability(t *testing.T) {
	for result, want := range map[string]tiktok.Capability{
		`true`: tiktok.CapabilityYes, `"TRUE"`: tiktok.CapabilityYes, `1`: tiktok.CapabilityYes, `"ENABLED"`: tiktok.CapabilityYes,
		`false`: tiktok.CapabilityNo, `"0"`: tiktok.CapabilityNo, `"not_supported"`: tiktok.CapabilityNo,
		`null`: tiktok.CapabilityUnknown, `"MAYBE"`: tiktok.CapabilityUnknown, `{}`: tiktok.CapabilityUnknown, `2`: tiktok.CapabilityUnknown,
	} {
		server := serve(t, answerJSON(`{"code":0,"data":{"capability_infos":[7,{"capability_type":"OTHER","capability_result":true},`+
			`{"capability_type":"image_send","capability_result":`+result+`}]}}`))
		got, err := newClient(t, server.URL).ImageCapability(soon(t), access, "b", "c", tiktok.ConversationStranger)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", result, got, err, want)
		}
	}
	got, err := newClient(t, serve(t, answerJSON(`{"code":0,"data":{}}`)).URL).ImageCapability(soon(t), access, "b", "c", tiktok.ConversationSingle)
	if err != nil || got != tiktok.CapabilityUnknown {
		t.Errorf("nothing said: %q, %v", got, err)
	}
}

// FuzzMessagingAnswers: whatever the data, a message that counts as sent has an id, and a capability is one of three. Uploads are left out:
// their form is random, which a fuzzer takes for news.
func FuzzMessagingAnswers(f *testing.F) {
	f.Add([]byte(`{"message":{"message_id":"7498765432109876543"}}`))
	f.Add([]byte(`{"message":{"message_id":7498765432109876543}}`))
	f.Add([]byte(`{"message":{}}`)) // to a sender's action
	f.Add([]byte(`{"capability_infos":[{"capability_type":"IMAGE_SEND","capability_result":false},{"capability_type":"OTHER"}]}`))
	f.Add([]byte(`{"download_url":"https://business-api.tiktok.com/media/7?x-expires=1785578400"}`))
	f.Add([]byte(`{"message":{"message_id":"1"},"media_id":"m","download_url":"https://x.example/","capability_infos":[{"capability_type":"IMAGE_SEND","capability_result":true}]}`))
	f.Add([]byte(`{"message":[],"media_id":{},"capability_infos":{}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		body := append([]byte(`{"code":0,"data":`), append(data, '}')...)
		client := cannedClient(t, body)
		id, err := client.SendMessage(t.Context(), access, "b", "c", tiktok.OutgoingMessage{Text: "a"})
		if (err == nil) != (id != "") {
			t.Fatalf("message %q, %v", id, err)
		}
		capability, _ := client.ImageCapability(t.Context(), access, "b", "c", tiktok.ConversationSingle)
		if capability != tiktok.CapabilityUnknown && capability != tiktok.CapabilityYes && capability != tiktok.CapabilityNo {
			t.Fatalf("capability %q", capability)
		}
		// Nobody allowed another host, and canned answers come from any: none of them may be media of somewhere else.
		m, err := client.DownloadMedia(t.Context(), access, "b", tiktok.MediaRef{ConversationID: "c", MessageID: "1", MediaID: "m", Type: tiktok.MediaVideo}, 10)
		if err == nil {
			_ = m.Body.Close()
		}
	})
}
