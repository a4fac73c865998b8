package tiktok

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// WireBodies are webhooks as TikTok documents them, one of every kind, from which fuzzing starts.
func WireBodies(t testing.TB) (bodies [][]byte) {
	t.Helper()
	paths, err := filepath.Glob("../cloudevent/testdata/wire/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(body), `"client_key"`) { // others are of the operator's own
			bodies = append(bodies, body)
		}
	}
	if len(bodies) < 20 {
		t.Fatalf("there are %d webhooks", len(bodies))
	}
	return bodies
}

// WireContents are the contents of those that have one.
func WireContents(t testing.TB) (contents [][]byte) {
	t.Helper()
	for _, body := range WireBodies(t) {
		if e, err := DecodeEnvelope(body); err == nil && e.Content != nil {
			contents = append(contents, e.Content)
		}
	}
	if len(contents) < 20 {
		t.Fatalf("there are %d contents", len(contents))
	}
	return contents
}

// ListedMessages are messages of webhooks in the form of the list of a conversation's messages.
func ListedMessages(t testing.TB) (items [][]byte) {
	t.Helper()
	for _, content := range WireContents(t) {
		var fields map[string]any
		if err := json.Unmarshal(content, &fields); err != nil {
			continue
		}
		kind, ok := fields["type"].(string)
		if !ok {
			continue
		}
		delete(fields, "type")
		fields["message_type"], fields["sender"], fields["recipient"] = strings.ToUpper(kind), fields["from"], fields["to"]
		item, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
	}
	if len(items) < 8 {
		t.Fatalf("there are %d messages", len(items))
	}
	return items
}

// Fuzzing the short way of decoding is worth while only from what goes that way: nearly all that TikTok sends.
func TestWhatTikTokSendsIsUsual(t *testing.T) {
	var unusual []string
	bodies := WireBodies(t)
	for _, body := range bodies {
		if e, _ := decodeUsual(body); e == nil {
			unusual = append(unusual, string(body))
		}
	}
	if len(unusual) > len(bodies)/4 {
		t.Errorf("%d of %d go the long way: %s", len(unusual), len(bodies), strings.Join(unusual, "\n"))
	}
}
