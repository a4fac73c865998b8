package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// top is the checkout, as seen from here.
const top = "../.."

// block is a fenced block of a page.
type block struct {
	line     int
	language string
	text     string
	// notRun is why it is not run, where a comment before it says so: <!-- not run: needs a cluster's nodes -->
	notRun string
	// hidden is what a comment holds that only the test runs, in place of a person: <!-- in the test: and lines of shell.
	hidden bool
}

// shell says whether it is of commands, however it calls itself.
func (b *block) shell() bool {
	return slices.Contains([]string{"sh", "bash", "shell", "console"}, b.language)
}

var (
	fence      = regexp.MustCompile("^( *)```+([a-z]*)$")
	notRunNote = regexp.MustCompile(`^<!-- not run: (.+) -->$`)
)

const hiddenNote = "<!-- in the test:"

// blocksOf finds the fenced blocks of a page, and what only the test runs.
func blocksOf(t *testing.T, page string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, page))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	var open *block // the one whose lines follow
	indent, note := "", ""
	for i, line := range strings.Split(string(text), "\n") {
		begins := fence.FindStringSubmatch(line)
		switch {
		case open == nil && begins != nil:
			indent = begins[1]
			open = &block{line: i + 1, language: begins[2]}
			if m := notRunNote.FindStringSubmatch(note); m != nil {
				open.notRun = m[1]
			}
		case open == nil && strings.TrimSpace(line) == hiddenNote:
			open = &block{line: i + 1, language: "sh", hidden: true}
		case open == nil:
			if line = strings.TrimSpace(line); line != "" {
				note = line
			}
		case open.hidden && strings.TrimSpace(line) == "-->", !open.hidden && begins != nil:
			blocks = append(blocks, *open)
			open, note = nil, ""
		default:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	if open != nil {
		t.Fatalf("%s: the block of line %d does not end", page, open.line)
	}
	return blocks
}

// pages are all pages of the documentation, by their paths in the checkout.
func pages(t *testing.T) []string {
	t.Helper()
	found := []string{"README.md", "CONTRIBUTING.md"}
	err := filepath.WalkDir(filepath.Join(top, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".md") {
			page, relErr := filepath.Rel(top, path)
			found, err = append(found, filepath.ToSlash(page)), relErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// instructs says whether a page tells people what to do, so that all its commands are run or say why not.
func instructs(page string) bool {
	return strings.HasPrefix(page, "docs/how-to/") || strings.HasPrefix(page, "docs/runbooks/") || page == "docs/tutorial.md"
}

// TestShellIsShell checks the syntax of every block of shell in the documentation.
func TestShellIsShell(t *testing.T) {
	needs(t, "bash")
	for _, page := range pages(t) {
		for _, b := range blocksOf(t, page) {
			if !b.shell() || b.language == "console" && !instructs(page) { // which shows what a command prints, too
				continue
			}
			if out, err := command(t, "bash", "-n", "-c", b.text).CombinedOutput(); err != nil {
				t.Errorf("%s:%d: %v\n%s", page, b.line, err, out)
			}
		}
	}
}

// TestCommandsAreRunOrSayWhyNot: a block of shell in a page that tells people what to do is run by TestPages, or a comment says why it is not.
func TestCommandsAreRunOrSayWhyNot(t *testing.T) {
	for _, page := range pages(t) {
		_, run := allScenes()[page]
		marked, all := 0, 0
		for _, b := range blocksOf(t, page) {
			switch {
			case !b.shell() || b.hidden:
			case b.notRun != "":
				all, marked = all+1, marked+1
			default:
				all++
				if instructs(page) && !run {
					t.Errorf("%s:%d: these commands are not run: add the page to scenes, or a comment before the block, "+
						"<!-- not run: and the reason -->", page, b.line)
				}
			}
		}
		if run && marked == all {
			t.Errorf("%s has no commands that are run: take it out of scenes", page)
		}
	}
	for page := range allScenes() {
		if _, err := os.Stat(filepath.Join(top, page)); err != nil {
			t.Error(fmt.Errorf("a scene has no page: %w", err))
		}
	}
}
