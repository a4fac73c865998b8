package cloudevent_test

import (
	"encoding/json"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

func identityOf(t *testing.T, event, content string) string {
	t.Helper()
	quoted, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	_, id, conversation, err := cloudevent.Decode([]byte(
		`{"client_key":"c","event":"` + event + `","create_time":1780000000,"user_openid":"-biz","content":` + string(quoted) + `}`))
	if err != nil {
		t.Fatal(err)
	}
	if conversation != "c" && event != "im_receive_msg_eu" {
		t.Errorf("%s %s: the conversation is %q", event, content, conversation)
	}
	return id
}

// TestIdentitiesOutliveVersions: what an earlier version stored is recognised when TikTok sends it again after an upgrade.
func TestIdentitiesOutliveVersions(t *testing.T) {
	for _, tc := range []struct{ event, content, want string }{
		{"im_receive_msg", `{"message_id":"7","conversation_id":"c"}`, "evt_JnDXiTjh4RxRby4sYmmDB_mB"},
		{"im_send_msg", `{"message_id":"7","conversation_id":"c","type":"text","text":{"body":"x"}}`, "evt_KEmsgKBektuglcBoeAPH7EoK"},
		{"im_mark_read_msg", `{"conversation_id":"c","read":{"last_read_timestamp":1}}`, "evt_33hSVorz3i35TcN6Y7ot5DFY"},
		{"im_receive_msg_eu", `{"to":"shop","timestamp":1}`, "evt_VYayQXC2ttxX8njzEgKBq9WB"},
	} {
		if got := identityOf(t, tc.event, tc.content); got != tc.want {
			t.Errorf("%s %s is %s, was %s", tc.event, tc.content, got, tc.want)
		}
	}
}

// TestWhatTellsEventsApart: a message is its id, whatever else is said of it. Another event about a message is what it says.
func TestWhatTellsEventsApart(t *testing.T) {
	const (
		first  = `{"message_id":"7","conversation_id":"c","text":{"body":"one"}}`
		second = `{"message_id":"7","conversation_id":"c","text":{"body":"two"}}`
	)
	reaction := func(operation string) string {
		return `{"message_id":"7","conversation_id":"c","type":"reaction","reaction":[{"operation":"` + operation + `","emoji":"x"}]}`
	}
	for _, tc := range []struct {
		event, a, b string
		same        bool
	}{
		{"im_receive_msg", first, second, true},
		{"im_send_msg", first, second, true},
		{"im_receive_msg", reaction("ADD"), reaction("REMOVE"), false},
		{"im_receive_msg", reaction("ADD"), reaction("add"), true},
		{"im_edit_msg", first, second, false}, // no such event is known yet
		{"im_edit_msg", first, first, true},
		{"im_mark_read_msg", first, second, false},
		{"im_referral_msg", first, second, false},
	} {
		if same := identityOf(t, tc.event, tc.a) == identityOf(t, tc.event, tc.b); same != tc.same {
			t.Errorf("%s: %s and %s are one event: %v", tc.event, tc.a, tc.b, same)
		}
	}
}
