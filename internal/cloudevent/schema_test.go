package cloudevent_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

const schemasDir = "../../docs/reference/events"

// types of all events.
func types() []string {
	return []string{
		cloudevent.TypeMessageReceived, cloudevent.TypeMessageSent, cloudevent.TypeMessageRead, cloudevent.TypeMessageReceivedEU,
		cloudevent.TypeReferralReceived, cloudevent.TypeCommentHighIntent, cloudevent.TypeAutomessageUpdated, cloudevent.TypeAutomessageAudited,
		cloudevent.TypeUnknown, cloudevent.TypeMessageStatus, cloudevent.TypeChannelAuthorized, cloudevent.TypeChannelReauthorizationRequired,
	}
}

// readSchema is the documented schema of a type.
func readSchema(eventType string) (map[string]any, error) {
	text, err := os.ReadFile(filepath.Join(schemasDir, eventType+".schema.json"))
	if err != nil {
		return nil, err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return document.(map[string]any), nil
}

// strict makes a schema refuse what it does not name: a field that is not documented.
func strict(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"].(map[string]any); ok {
			v["additionalProperties"] = false
		}
		for _, inner := range v {
			strict(inner)
		}
	case []any:
		for _, inner := range v {
			strict(inner)
		}
	}
}

// schemas are compiled once, each as documented and strict.
var schemas = sync.OnceValues(func() (map[string][2]*jsonschema.Schema, error) {
	all := map[string][2]*jsonschema.Schema{}
	for _, eventType := range types() {
		var pair [2]*jsonschema.Schema
		for i := range pair {
			document, err := readSchema(eventType)
			if err != nil {
				return nil, err
			}
			if i == 1 {
				strict(document)
			}
			c := jsonschema.NewCompiler()
			c.DefaultDraft(jsonschema.Draft2020)
			c.AssertFormat()
			if err := c.AddResource("urn:s", document); err != nil {
				return nil, err
			}
			if pair[i], err = c.Compile("urn:s"); err != nil {
				return nil, err
			}
		}
		all[eventType] = pair
	}
	return all, nil
})

// conforms checks an event's data against the schema of its type: nothing is there that is not documented.
func conforms(t *testing.T, e cloudevent.Event) {
	t.Helper()
	all, err := schemas()
	if err != nil {
		t.Fatal(err)
	}
	pair, ok := all[e.Type]
	if !ok {
		t.Fatalf("there is no schema of type %s", e.Type)
	}
	data, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Data))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range pair {
		if err := s.Validate(data); err != nil {
			t.Fatalf("data is not as documented: %v\n%s", err, e.Data)
		}
	}
}

// wire are the webhooks, and the operator's own events, as they are stored.
func wire(t testing.TB) map[string]cloudevent.Input {
	t.Helper()
	all := map[string]cloudevent.Input{}
	files, err := filepath.Glob("testdata/wire/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Base(filepath.Dir(file))
		all[folder+"/"+strings.TrimSuffix(filepath.Base(file), ".json")] = cloudevent.Input{
			ID: "evt_1", Namespace: "ns", Name: "ch", Own: strings.HasPrefix(folder, "channel.") || folder == "message.status", Body: body, ReceivedAt: received,
		}
	}
	return all
}

func TestWebhooksBecomeWhatIsDocumented(t *testing.T) {
	inputs := wire(t)
	seen := map[string]bool{}
	for name, in := range inputs {
		e, err := cloudevent.Normalize(in)
		if err != nil {
			t.Fatal(err)
		}
		if folder, _, _ := strings.Cut(name, "/"); e.Type != "io.tiktok-operator."+folder {
			t.Errorf("%s becomes %s", name, e.Type)
		}
		conforms(t, e)
		var data any
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		paths(data, e.Type, seen)
	}
	// What a schema names, some webhook shows: nothing is documented that never comes.
	general := []string{"conversationID", "messageID", "sender", "recipient", "userID", "isFollower", "sceneType"}
	for _, eventType := range types() {
		document, err := readSchema(eventType)
		if err != nil {
			t.Fatal(err)
		}
		isMessage := strings.HasPrefix(eventType, "io.tiktok-operator.message.") && eventType != cloudevent.TypeMessageStatus
		for _, name := range slices.Sorted(maps.Keys(document["properties"].(map[string]any))) {
			if !seen[eventType+"."+name] && !slices.Contains(general, name) && !isMessage {
				t.Errorf("no webhook shows %s of %s", name, eventType)
			}
			if !seen[cloudevent.TypeMessageReceived+"."+name] && !seen[cloudevent.TypeMessageSent+"."+name] && isMessage && name != "readUpTo" {
				t.Errorf("no webhook shows %s of a message", name)
			}
		}
	}
}

func paths(v any, path string, seen map[string]bool) {
	seen[path] = true
	if fields, ok := v.(map[string]any); ok {
		for name, inner := range fields {
			paths(inner, path+"."+name, seen)
		}
	}
}

// Examples are valid, and later versions may add fields.
func TestDocumentedExamplesAreValid(t *testing.T) {
	all, err := schemas()
	if err != nil {
		t.Fatal(err)
	}
	for _, eventType := range types() {
		text, err := os.ReadFile(filepath.Join(schemasDir, eventType+".example.json"))
		if err != nil {
			t.Fatal(err)
		}
		example, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := all[eventType][1].Validate(example); err != nil {
			t.Errorf("%s: %v", eventType, err)
		}
		example.(map[string]any)["ofALaterVersion"] = true
		if err := all[eventType][0].Validate(example); err != nil {
			t.Errorf("%s: a field of a later version is refused: %v", eventType, err)
		}
		if all[eventType][1].Validate(example) == nil || all[eventType][0].Validate([]any{}) == nil {
			t.Errorf("%s: anything passes", eventType)
		}
	}
}
