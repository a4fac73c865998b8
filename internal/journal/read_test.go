package journal_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/journal"
)

// TestSetAside: a file that is no entry is reported and kept, whatever happens to its channel next, and keeps no other entry from being found.
func TestSetAside(t *testing.T) {
	dir := t.TempDir()
	write(t, open(t, dir), entry("2"))
	whole := files(t, dir)["2.refresh.json"]
	for name, text := range map[string]string{
		"truncated":          whole[:len(whole)*2/3],
		"doubled":            whole + whole,
		"empty":              "",
		"zeroes":             strings.Repeat("\x00", 200),
		"garbage":            "SECRET-refresh-2 is not JSON",
		"a token of no type": `{"namespace":"SECRET-refresh-2","name":5}`,
		"a time of no kind":  strings.Replace(whole, "2031-05-01T", "SECRET-refresh-2", 1),
		"without a channel":  strings.Replace(whole, `"uid":"2"`, `"uid":""`, 1),
		"without a token":    strings.Replace(whole, `"refreshToken":"SECRET-refresh-2"`, `"refreshToken":""`, 1),
		"a copy of 2":        whole,
		"null":               "null",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j := open(t, dir)
			write(t, j, entry("0"))
			write(t, j, entry("2"))
			put(t, dir, "1.refresh.json", text)

			entries, err := open(t, dir).Entries()
			same(t, entries, []journal.Entry{entry("0"), entry("2")})
			if err == nil || !strings.Contains(err.Error(), "1.refresh.json") || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("error %v", err)
			}
			write(t, j, entry("1"))
			if err := j.Remove("1"); err != nil {
				t.Fatal(err)
			}
			wants(t, dir, entry("0"), entry("2"))
			if kept := files(t, dir)["1.refresh.json.damaged"]; kept != text {
				t.Errorf("kept %q", kept)
			}
		})
	}
}

// TestSetAsideAgain: one damaged file does not take the place of another.
func TestSetAsideAgain(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	for _, text := range []string{"first", "second", "third"} {
		put(t, dir, "1.refresh.json", text)
		if entries, err := j.Entries(); err == nil || len(entries) != 0 {
			t.Fatalf("%v %v", entries, err)
		}
	}
	var kept []string
	for _, text := range files(t, dir) {
		kept = append(kept, text)
	}
	if slices.Sort(kept); strings.Join(kept, " ") != "first second third" {
		t.Errorf("kept %q", kept)
	}
}

// TestForeignFiles: what was never an entry is nobody's business.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, open(t, dir), entry("1"))
	put(t, dir, "README", "not ours")
	put(t, dir, "1.refresh.json.bak", "not ours")
	before := files(t, dir)
	wants(t, dir, entry("1"))
	if after := files(t, dir); len(after) != len(before) || after["README"] != "not ours" {
		t.Errorf("files %v", after)
	}
	if err := os.Mkdir(filepath.Join(dir, "0.refresh.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	entries, err := open(t, dir).Entries()
	if same(t, entries, []journal.Entry{entry("1")}); err == nil || !strings.Contains(err.Error(), "0.refresh.json") {
		t.Errorf("a directory in an entry's place: %v", err)
	}
}

// TestErrorsCarryNoToken: the volume fails in several ways.
func TestErrorsCarryNoToken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j := open(t, dir)
	fails := func(what string, err error) {
		t.Helper()
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: error %v", what, err)
		}
	}
	// A directory where the entry belongs: it cannot be put in its place, and nothing is left of the try.
	if err := os.MkdirAll(filepath.Join(dir, "1.refresh.json", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	fails("no place", j.Write(entry("1")))
	fails("no removal", j.Remove("1"))
	if found, _ := filepath.Glob(filepath.Join(dir, ".entry-*")); len(found) != 0 {
		t.Errorf("left %v", found)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	fails("no volume", j.Write(entry("1")))
	_, err := j.Entries()
	fails("no volume to read", err)
	put(t, filepath.Dir(dir), "journal", "a file")
	_, err = journal.Open(dir)
	fails("no directory", err)
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
