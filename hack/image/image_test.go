package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// TestSameBinarySameImage packs this module's own program twice.
func TestSameBinarySameImage(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "manager")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	first, second := t.TempDir(), t.TempDir()
	for _, out := range []string{first, second} {
		if err := run([]string{"-version", "v1", "-registry", "registry.example/team", "-out", out, binary}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"manager.tar", "manager.cdx.json"} {
		a, errA := os.ReadFile(filepath.Join(first, name))
		b, errB := os.ReadFile(filepath.Join(second, name))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs between two runs: %v, %v", name, errA, errB)
		}
	}
	img, err := tarball.ImageFromPath(filepath.Join(first, "manager.tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || config.Config.Labels["org.opencontainers.image.version"] != "v1" || len(config.RootFS.DiffIDs) != 1 {
		t.Errorf("the image says of itself: %+v", config)
	}
	var bill struct {
		Components []struct{ PURL string }
	}
	text, err := os.ReadFile(filepath.Join(first, "manager.cdx.json"))
	if err != nil || json.Unmarshal(text, &bill) != nil || len(bill.Components) < 3 {
		t.Errorf("the bill of materials names %d parts: %v", len(bill.Components), err)
	}
	if err := run([]string{"-out", first, filepath.Join(first, "absent")}); err == nil {
		t.Error("a binary that does not exist is packed")
	}
}
