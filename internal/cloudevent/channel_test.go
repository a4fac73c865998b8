package cloudevent_test

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

func channelEvent(eventType string) cloudevent.ChannelEvent {
	at := time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)
	end := at.Add(24 * time.Hour)
	e := cloudevent.ChannelEvent{Type: eventType, Time: at, Data: cloudevent.ChannelData{
		BusinessID: "-biz", Username: "shop", DisplayName: "A <Shop> & Co", GrantedScopes: []string{"a", "b"}, AccessTokenExpiresAt: &end,
	}}
	if eventType == cloudevent.TypeChannelReauthorizationRequired {
		e.Data.Reason, e.Data.Message = "AuthorizationRemoved", "Gone."
	}
	return e
}

func TestChannelEventsAreNormalized(t *testing.T) {
	for _, eventType := range []string{cloudevent.TypeChannelAuthorized, cloudevent.TypeChannelReauthorizationRequired} {
		want := channelEvent(eventType)
		body, err := want.Body()
		if err != nil {
			t.Fatal(err)
		}
		e, err := cloudevent.Normalize(cloudevent.Input{ID: "chn_1", Namespace: "ns", Name: "main", Own: true, Body: body, ReceivedAt: time.Unix(1, 0)})
		if err != nil {
			t.Fatal(err)
		}
		conforms(t, e)
		var data cloudevent.ChannelData
		if err := json.Unmarshal(e.Data, &data); err != nil || !reflect.DeepEqual(data, want.Data) {
			t.Errorf("the data is %s (%v)", e.Data, err)
		}
		if e.ID != "chn_1" || e.Type != eventType || e.Source != cloudevent.Source("ns", "main") || e.Subject != "" || e.PartitionKey != "-biz" ||
			!e.Time.Equal(want.Time) {
			t.Errorf("got %+v", e)
		}
	}
}

// Whoever can send webhooks, TikTok among them, cannot make an event of the operator's own.
func TestChannelEventsCannotBeForged(t *testing.T) {
	own, err := channelEvent(cloudevent.TypeChannelAuthorized).Body()
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"the stored form":         string(own),
		"the stored form, tagged": `{"event":"x","own":true,"Own":true,` + string(own[1:]),
		"the type as an event":    `{"event":"io.tiktok-operator.channel.authorized","user_openid":"-biz","content":"{}"}`,
		"the name as an event":    `{"event":"channel.authorized","user_openid":"-biz","content":"{}"}`,
	} {
		e, err := cloudevent.Normalize(cloudevent.Input{ID: "evt_1", Namespace: "ns", Name: "main", Body: []byte(body)})
		if err != nil || e.Type != cloudevent.TypeUnknown {
			t.Errorf("%s: %s (%v)", name, e.Type, err)
		}
	}
}

func TestDamagedChannelEventIsUnknownAndWhole(t *testing.T) {
	for _, body := range []string{"", "{", "null", `{"type":"io.tiktok-operator.channel.authorized"}`, `{"data":{}}`, `{"type":"a\u0000b","data":{}}`} {
		at := time.Unix(5, 0)
		e, err := cloudevent.Normalize(cloudevent.Input{ID: "chn_1", Namespace: "ns", Name: "main", Own: true, Body: []byte(body), ReceivedAt: at})
		var data cloudevent.Data
		if err != nil || e.Type != cloudevent.TypeUnknown || !e.Time.Equal(at) || json.Unmarshal(e.Data, &data) != nil || !data.Undecodable {
			t.Errorf("%q became %+v with %s (%v)", body, e, e.Data, err)
		}
	}
}

func TestChannelEventsAreAsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/events.md")
	if err != nil {
		t.Fatal(err)
	}
	var onPage []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(io\\.tiktok-operator\\.channel\\.[a-z_]+)` \\|").FindAllSubmatch(page, -1) {
		onPage = append(onPage, string(row[1]))
	}
	if want := []string{cloudevent.TypeChannelAuthorized, cloudevent.TypeChannelReauthorizationRequired}; !reflect.DeepEqual(onPage, want) {
		t.Errorf("the page has %v, the code %v", onPage, want)
	}
	section := regexp.MustCompile("(?s)## Events about the channel itself\n.*?\n## ").Find(page)
	data := reflect.TypeFor[cloudevent.ChannelData]()
	for i := range data.NumField() {
		name := regexp.MustCompile(`^[a-zA-Z]+`).FindString(data.Field(i).Tag.Get("json"))
		if !regexp.MustCompile("`" + name + "`").Match(section) {
			t.Errorf("the page does not describe %s", name)
		}
	}
}
