package cloudevent_test

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

func statusEvent() cloudevent.StatusEvent {
	at := time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)
	return cloudevent.StatusEvent{Time: at.Add(time.Second), Data: cloudevent.StatusData{
		BusinessID: "-biz", ConversationID: "a+b/c=", SendID: "snd_1", MessageID: "7498765432109876543", Status: cloudevent.StatusFailed, Code: 40064,
		Explanation: "Wait <here>.", IdempotencyKey: "k", AcceptedAt: &at, Content: cloudevent.Summarize("text", "Hi & bye"),
	}}
}

func TestStatusesAreNormalized(t *testing.T) {
	for _, conversation := range []string{"a+b/c=", "a\x00b"} {
		want := statusEvent()
		want.Data.ConversationID = conversation
		body, err := want.Body()
		if err != nil {
			t.Fatal(err)
		}
		e, err := cloudevent.Normalize(cloudevent.Input{ID: "sts_1", Namespace: "ns", Name: "main", Own: true, Body: body, ReceivedAt: time.Unix(1, 0)})
		if err != nil {
			t.Fatal(err)
		}
		conforms(t, e)
		var data cloudevent.StatusData
		if err := json.Unmarshal(e.Data, &data); err != nil || !reflect.DeepEqual(data, want.Data) {
			t.Errorf("the data is %s (%v)", e.Data, err)
		}
		fit := e.Subject == conversation || strings.HasPrefix(e.Subject, "sha256-") && conversation != "a+b/c="
		if !fit || e.PartitionKey != e.Subject || e.ID != "sts_1" || e.Type != cloudevent.TypeMessageStatus || !e.Time.Equal(want.Time) {
			t.Errorf("got %+v", e)
		}
	}
}

func TestStatusesCannotBeForged(t *testing.T) {
	own, err := statusEvent().Body()
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"the stored form": string(own), "the stored form, tagged": `{"event":"x","Own":true,` + string(own[1:]),
		"the type as an event": `{"event":"io.tiktok-operator.message.status","user_openid":"-biz","content":"{}"}`,
	} {
		e, err := cloudevent.Normalize(cloudevent.Input{ID: "evt_1", Namespace: "ns", Name: "main", Body: []byte(body)})
		if err != nil || e.Type != cloudevent.TypeUnknown {
			t.Errorf("%s: %s (%v)", name, e.Type, err)
		}
	}
}

func TestIncompleteStatusesAreNotWritten(t *testing.T) {
	for name, change := range map[string]func(*cloudevent.StatusData){
		"without a conversation": func(d *cloudevent.StatusData) { d.ConversationID = "" },
		"without a message":      func(d *cloudevent.StatusData) { d.SendID, d.MessageID = "", "" },
		"is no status":           func(d *cloudevent.StatusData) { d.Status = "seen" },
	} {
		e := statusEvent()
		change(&e.Data)
		if body, err := e.Body(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %s (%v)", name, body, err)
		}
	}
}

func TestStatusesMoveForward(t *testing.T) {
	order := []cloudevent.Status{"", "accepted", "failed", "sent", "delivered", "read"}
	for i, a := range order {
		for j, b := range order {
			if got := a.Supersedes(b); got != (i > j) {
				t.Errorf("%q supersedes %q: %v", a, b, got)
			}
		}
		if cloudevent.Status("of a later version").Supersedes(a) {
			t.Errorf("what is not known supersedes %q", a)
		}
	}
}

func TestSummariesAreShort(t *testing.T) {
	whole := strings.Repeat("é", 200)
	if got := cloudevent.Summarize("text", whole); *got != (cloudevent.ContentSummary{Kind: "text", Text: whole}) {
		t.Errorf("200 characters become %q", got.Text)
	}
	if got := cloudevent.Summarize("text", whole+"x").Text; utf8.RuneCountInString(got) != 200 || got != strings.Repeat("é", 199)+"…" {
		t.Errorf("201 characters become %q", got)
	}
}

func TestStatusesAreAsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/events.md")
	if err != nil {
		t.Fatal(err)
	}
	section := string(regexp.MustCompile("(?s)## Status of messages\n.*?\n## ").Find(page))
	names := []string{cloudevent.TypeMessageStatus, "content.kind", "content.text"}
	data := reflect.TypeFor[cloudevent.StatusData]()
	for i := range data.NumField() {
		if name, _, _ := strings.Cut(data.Field(i).Tag.Get("json"), ","); name != "content" {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if !strings.Contains(section, "`"+name+"`") {
			t.Errorf("the page does not describe %s", name)
		}
	}
	var onPage []cloudevent.Status
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z]+)` \\| ").FindAllStringSubmatch(section, -1) {
		if row[1] != "status" {
			onPage = append(onPage, cloudevent.Status(row[1]))
		}
	}
	if !reflect.DeepEqual(onPage, cloudevent.Statuses()) {
		t.Errorf("the page has %v", onPage)
	}
}
