package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestTheImageSaysWhatItsBinaryIsFor(t *testing.T) {
	for _, tt := range []struct{ system, arch string }{{"linux", "amd64"}, {"linux", "arm64"}, {"linux", "386"}, {"darwin", "arm64"}} {
		t.Run(tt.system+"/"+tt.arch, func(t *testing.T) {
			img, err := build(program(t, tt.system, tt.arch), "tool", "v1")
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

// program compiles one for a platform.
func program(t *testing.T, system, arch string) string {
	t.Helper()
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "tool")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, source)
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+arch, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func TestTheLayoutHasEveryArchitecture(t *testing.T) {
	out := t.TempDir()
	binaries := []string{program(t, "linux", "amd64"), program(t, "linux", "arm64")}
	for _, version := range []string{"v0", "v1"} { // the second over what the first has left
		if err := run(append([]string{"-version", version, "-out", out}, binaries...)); err != nil {
			t.Fatal(err)
		}
	}
	blobs, err := os.ReadDir(filepath.Join(out, "oci", "tool", "blobs", "sha256"))
	if err != nil || len(blobs) != 7 { // an index; for each architecture a manifest, a description and a layer
		t.Errorf("the layout has %d blobs: %v", len(blobs), err)
	}
	path, err := layout.FromPath(filepath.Join(out, "oci", "tool"))
	if err != nil {
		t.Fatal(err)
	}
	top, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	found, err := top.IndexManifest()
	if err != nil || len(found.Manifests) != 1 || found.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "v1" {
		t.Fatalf("the layout has %+v: %v", found, err)
	}
	index, err := top.ImageIndex(found.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	// What skopeo would write of it: the same bytes, so that the digest stays.
	var read oci.Index
	text, err := index.RawManifest()
	if err != nil || json.Unmarshal(text, &read) != nil {
		t.Fatalf("%s is no index: %v", text, err)
	}
	if again, err := json.Marshal(read); err != nil || !bytes.Equal(again, text) {
		t.Errorf("the index is\n%s\nand written anew\n%s\n%v", text, again, err)
	}
	parts, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, part := range parts.Manifests {
		platforms = append(platforms, part.Platform.String())
		archive, err := tarball.ImageFromPath(filepath.Join(out, strings.ReplaceAll(part.Platform.String(), "/", "-"), "tool.tar"), nil)
		if err != nil {
			t.Fatal(err)
		}
		id, err := archive.ConfigName()
		if err != nil {
			t.Fatal(err)
		}
		if img, err := index.Image(part.Digest); err != nil {
			t.Error(err)
		} else if same, err := img.ConfigName(); err != nil || same != id {
			t.Errorf("for %s, the archive is %v and the layout's image %v: %v", part.Platform, id, same, err)
		}
	}
	if !slices.Equal(platforms, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("the layout is for %v", platforms)
	}
}

func TestProgramURLNamesThePartOfTheModule(t *testing.T) {
	info := &debug.BuildInfo{Path: "example.com/team/tool/cmd/manager", Main: debug.Module{Path: "example.com/team/tool"}}
	if url := programURL(info, "v1"); url != "pkg:golang/example.com/team/tool@v1#cmd/manager" {
		t.Error(url)
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
	here := "linux-" + runtime.GOARCH
	for _, name := range []string{here + "/manager.tar", here + "/manager.cdx.json", "oci/manager/index.json"} {
		a, errA := os.ReadFile(filepath.Join(first, name))
		b, errB := os.ReadFile(filepath.Join(second, name))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs between two runs: %v, %v", name, errA, errB)
		}
	}
	img, err := tarball.ImageFromPath(filepath.Join(first, here, "manager.tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || config.Config.Labels["org.opencontainers.image.version"] != "v1" || len(config.RootFS.DiffIDs) != 1 ||
		len(config.History) != 1 || config.Created.Unix() != 0 {
		t.Errorf("the image says of itself: %+v", config)
	}
	var bill struct {
		Metadata   struct{ Component struct{ PURL string } }
		Components []struct{ PURL string }
	}
	text, err := os.ReadFile(filepath.Join(first, here, "manager.cdx.json"))
	if err != nil || json.Unmarshal(text, &bill) != nil || len(bill.Components) < 3 {
		t.Errorf("the bill of materials names %d parts: %v", len(bill.Components), err)
	}
	if purl := bill.Metadata.Component.PURL; purl != "pkg:golang/github.com/tiktok-operator/tiktok-operator/hack/image@v1" {
		t.Errorf("the bill of materials is of %s", purl)
	}
	if err := run([]string{"-out", first, filepath.Join(first, "absent")}); err == nil {
		t.Error("a binary that does not exist is packed")
	}
}
