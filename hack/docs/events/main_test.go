package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/hack/docs/schema"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

func TestFolderIsWhatIsGenerated(t *testing.T) {
	want, err := generate("../../..", "../../../"+wireDir)
	if err != nil {
		t.Fatal(err)
	}
	const folder = "../../../docs/reference/events"
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(folder, name)); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s is stale: run make docs (%v)", name, err)
		}
	}
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != len(want) {
		t.Errorf("the folder has %d files, want %d (%v)", len(files), len(want), err)
	}
}

func TestCatalogueIsWhatEventsBecome(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range catalogue() {
		if seen[d.eventType] {
			t.Errorf("%s is there twice", d.eventType)
		}
		seen[d.eventType] = true
		if d.tiktok != "" && cloudevent.TypeOf(d.tiktok) != d.eventType {
			t.Errorf("%s becomes %s, not %s", d.tiktok, cloudevent.TypeOf(d.tiktok), d.eventType)
		}
	}
	folders, err := os.ReadDir("../../../" + wireDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if !seen[typePrefix+folder.Name()] {
			t.Errorf("%s holds webhooks of no type", folder.Name())
		}
	}
}

func TestWhatCannotBeDescribedIsAnError(t *testing.T) {
	type mute struct {
		A string `json:"a"`
	}
	type odd struct {
		A chan int `json:"a"`
	}
	for name, d := range map[string]described{
		"no comment":         {eventType: "t", data: reflect.TypeFor[mute](), optional: []string{"a"}},
		"there is no schema": {eventType: "t", data: reflect.TypeFor[odd](), optional: []string{"a"}},
		"has no field":       {eventType: "t", data: reflect.TypeFor[mute](), optional: []string{"b"}},
	} {
		s, err := schema.ReadSource(".")
		if err != nil {
			t.Fatal(err)
		}
		s.Add("hack/docs/events.odd.A", "A is odd.")
		if _, err := dataSchema(s, d); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := readExamples(t.TempDir(), described{eventType: "t"}, ""); err == nil {
		t.Error("a type without an example passes")
	}
}
