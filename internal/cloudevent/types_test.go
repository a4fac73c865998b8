package cloudevent_test

import (
	"os"
	"regexp"
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
