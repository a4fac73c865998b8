package main

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What the Dockerfile says is compared with what is packed without it, since an image of it is not built where there is no Docker.

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// find returns what the groups of a pattern, which is there once or more, match at first.
func find(t *testing.T, text, pattern string) []string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("nothing is like %s", pattern)
	}
	return found[1:]
}

func TestDockerfileCompilesAsTheMakefileDoes(t *testing.T) {
	plain := strings.NewReplacer("${VERSION}", "VERSION", "$(VERSION)", "VERSION", `"`, "'")
	command := func(text string) string {
		return plain.Replace(find(t, text, `go build (-trimpath .*?main\.version.*?)\s+(?:\\\s+)?-o `)[0])
	}
	dockerfile, makefile := read(t, "Dockerfile"), read(t, "Makefile")
	_, images, _ := strings.Cut(makefile, "\nimages: ")
	if docker, mk := command(dockerfile), command(images); docker != mk {
		t.Errorf("the Dockerfile compiles with\n%s\nand make images with\n%s", docker, mk)
	}
	if build, mk := command(makefile), command(images); build != mk {
		t.Errorf("make build compiles with\n%s\nand make images with\n%s", build, mk)
	}
	for name, text := range map[string]string{"the Dockerfile": dockerfile, "make images": images} {
		if !regexp.MustCompile(`CGO_ENABLED=0 GOOS=\S+ GOARCH=\S+\s(?:\s*\\\n)?\s*go build`).MatchString(text) {
			t.Errorf("%s may link C libraries, which the image does not have", name)
		}
	}
}

func TestDockerfileHasAGoThatCompilesTheModule(t *testing.T) {
	asked := find(t, read(t, "go.mod"), `(?m)^go (\d+\.\d+)\.(\d+)$`)
	for _, has := range regexp.MustCompile(`golang:(\d+\.\d+)\.(\d+)-alpine`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		least, _ := strconv.Atoi(asked[1])
		if patch, _ := strconv.Atoi(has[2]); has[1] != asked[0] || patch < least {
			t.Errorf("the Dockerfile names %s, and go.mod asks for %s", has[0], strings.Join(asked, "."))
		}
	}
}

func TestDockerfileMakesTheSameImage(t *testing.T) {
	img, err := build(program(t, "linux", "amd64"), "${BINARY}", "${VERSION}")
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, "Dockerfile")
	_, final, _ := strings.Cut(text, "\nFROM scratch\n")
	labels := make(map[string]string)
	for _, label := range regexp.MustCompile(`(org\.opencontainers\.\S+?)="(.*?)"`).FindAllStringSubmatch(final, -1) {
		labels[label[1]] = label[2]
	}
	if !maps.Equal(labels, config.Config.Labels) {
		t.Errorf("the Dockerfile's labels are\n%v\nand those packed are\n%v", labels, config.Config.Labels)
	}
	if user := find(t, final, `(?m)^USER (.+)$`)[0]; user != config.Config.User {
		t.Errorf("the Dockerfile's user is %s, and that packed is %s", user, config.Config.User)
	}
	if entry := find(t, final, `(?m)^ENTRYPOINT \["(.+)"\]$`)[0]; !slices.Equal(config.Config.Entrypoint, []string{entry}) {
		t.Errorf("the Dockerfile's entrypoint is %s, and that packed is %s", entry, config.Config.Entrypoint)
	}

	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	layer, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	volumes := find(t, text, `(?m)^RUN (mkdir -p .+) \\\n.*chown -R 65532:65532 (.+)$`)
	chowned := strings.Fields(strings.ReplaceAll(volumes[1], "/out/volumes", ""))
	var files, folders []string
	for archive := tar.NewReader(layer); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := path.Join("/", header.Name)
		if header.Typeflag == tar.TypeReg {
			files = append(files, name)
			continue
		}
		if strings.HasPrefix(name, "/var") {
			folders = append(folders, name)
		}
		if want := slices.ContainsFunc(chowned, func(top string) bool { return strings.HasPrefix(name+"/", top+"/") }); want != (header.Uid == nobody) {
			t.Errorf("the Dockerfile gives %s to the user: %v; packed it is %d's", name, want, header.Uid)
		}
	}
	var copied []string
	for _, target := range regexp.MustCompile(`(?m)^COPY --from=build .+ (/\S+)$`).FindAllStringSubmatch(final, -1) {
		copied = append(copied, target[1])
	}
	if !slices.Equal(copied, files) {
		t.Errorf("the Dockerfile copies %v, and packed are %v", copied, files)
	}
	if made := foldersOf(t, volumes[0]); !slices.Equal(made, folders) {
		t.Errorf("the Dockerfile makes the folders %v, and packed are %v", made, folders)
	}
}

// foldersOf are those that a command of the Dockerfile makes in /out/volumes.
func foldersOf(t *testing.T, command string) []string {
	t.Helper()
	root := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(command, "/out/volumes", root)).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var made []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, _ fs.DirEntry, err error) error {
		if name != "." {
			made = append(made, "/"+name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestDockerignoreLetsEverythingIn looks for packages of the binaries that Docker would not be given.
func TestDockerignoreLetsEverythingIn(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", `{{with .Module}}{{if .Main}}{{$.Dir}}{{end}}{{end}}`, "./cmd/...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(out))
	if len(packages) < 4 {
		t.Fatalf("the binaries are made of %v", packages)
	}
	lines := strings.Split(read(t, ".dockerignore"), "\n")
	for _, folder := range packages {
		rel, err := filepath.Rel(root, folder)
		if err != nil {
			t.Fatal(err)
		}
		if first, _, _ := strings.Cut(filepath.ToSlash(rel), "/"); !slices.Contains(lines, "!"+first) {
			t.Errorf(".dockerignore leaves out %s, of which binaries are made", rel)
		}
	}
}
