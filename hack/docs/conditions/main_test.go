package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../../../"

// TestEveryConstantIsUsed: what the reference names is raised somewhere.
func TestEveryConstantIsUsed(t *testing.T) {
	blocks, err := read(root + source)
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, dir := range []string{"cmd", "controllers", "internal"} {
		err := filepath.WalkDir(root+dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			code.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for _, b := range blocks {
		for _, c := range b.all {
			n++
			if !regexp.MustCompile(`v1alpha1\.` + c.name + `\b`).MatchString(code.String()) {
				t.Errorf("%s is documented, and nothing raises it", c.name)
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d constants were found", n)
	}
}
