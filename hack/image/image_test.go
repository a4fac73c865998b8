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

func TestTheImageSaysWhatItsBinaryIsFor(t *testing.T) {
	for _, tt := range []struct{ system, arch string }{{"linux", "amd64"}, {"linux", "arm64"}, {"linux", "386"}, {"darwin", "arm64"}} {
		t.Run(tt.system+"/"+tt.arch, func(t *testing.T) {
			dir := t.TempDir()
			source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "tool")
			if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, source)
			cmd.Env = append(os.Environ(), "GOOS="+tt.system, "GOARCH="+tt.arch, "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			img, err := build(binary, "tool", "v1")
			if refused := tt.system != "linux" || tt.arch == "386"; refused {
				if err == nil {
					t.Error("it is packed")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if config, err := img.ConfigFile(); err != nil || config.Architecture != tt.arch || config.OS != "linux" {
				t.Errorf("the image is for %+v: %v", config, err)
			}
		})
	}
}

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
