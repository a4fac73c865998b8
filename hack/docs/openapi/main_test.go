package main

import (
	"bytes"
	"os"
	"testing"
)

func TestFilesAreWhatIsGenerated(t *testing.T) {
	text, reference, err := document("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{
		"../../../internal/messagingapi/openapi.json": text, "../../../docs/reference/messaging-api.md": reference,
		"../../../docs/reference/problems.md": problems(),
	} {
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run make docs (%v)", name, err)
		}
	}
}
