package cloudevent_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

func TestTypesAreAsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/events.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `(io\\.tiktok-operator\\.[a-z_.]+)` \\| (?:`([a-z_]+)`|any other) \\|").FindAllSubmatch(page, -1)
	documented := map[string]bool{}
	for _, row := range rows {
		eventType, event := string(row[1]), string(row[2])
		documented[eventType] = true
		if got := cloudevent.TypeOf(event); got != eventType {
			t.Errorf("%q is %s, the page says %s", event, got, eventType)
		}
	}
	for _, eventType := range []string{
		cloudevent.TypeMessageReceived, cloudevent.TypeMessageSent, cloudevent.TypeMessageRead, cloudevent.TypeMessageReceivedEU,
		cloudevent.TypeReferralReceived, cloudevent.TypeCommentHighIntent, cloudevent.TypeAutomessageUpdated, cloudevent.TypeAutomessageAudited,
		cloudevent.TypeUnknown,
	} {
		if !documented[eventType] {
			t.Errorf("%s is not on the page", eventType)
		}
	}
}

// What comes as unknown although TikTok documents it is on the page by name, and comes so.
func TestUnknownTypesAreNamed(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/events.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z]+\\.[a-z.]+)`").FindAllSubmatch(page, -1) {
		event := string(row[1])
		named[event] = true
		if got := cloudevent.TypeOf(event); !strings.HasPrefix(event, "io.") && got != cloudevent.TypeUnknown {
			t.Errorf("%q is %s, the page says that it has no type of its own", event, got)
		}
	}
	for _, name := range []string{"comment_update", "authorization_removed", "brand_mention", "post_published"} {
		body, err := os.ReadFile("testdata/wire/unknown/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var envelope struct{ Event string }
		if err := json.Unmarshal(body, &envelope); err != nil {
			t.Fatal(err)
		}
		if !named[envelope.Event] {
			t.Errorf("%s is not on the page", envelope.Event)
		}
	}
}
