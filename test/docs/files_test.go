package docs

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var update = flag.Bool("update", false, "put the programs into the pages that show them")

// shown is a block of a page that shows a file beside it.
var shown = regexp.MustCompile("(?s)(<!-- file: ([^ \n]+) -->\n```[a-z]+\n)(.*?)(```\n)")

// TestPagesShowTheProgramsThatAreTested compares the programs in pages with the files that the tests run.
func TestPagesShowTheProgramsThatAreTested(t *testing.T) {
	pages, err := filepath.Glob("../../docs/how-to/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		want := shown.ReplaceAllStringFunc(string(text), func(block string) string {
			found++
			m := shown.FindStringSubmatch(block)
			file, err := os.ReadFile(filepath.Join(filepath.Dir(page), m[2]))
			if err != nil {
				t.Fatal(err)
			}
			return m[1] + string(file) + m[4]
		})
		if want == string(text) {
			continue
		}
		if !*update {
			t.Errorf("%s does not show its programs as they are; run go test ./test/docs -run TestPagesShow -update", page)
			continue
		}
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if programs := len(receivers()); found != programs {
		t.Errorf("the pages show %d programs of %d", found, programs)
	}
}
