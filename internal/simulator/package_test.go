package simulator_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The simulator shares no code with what is tested against it: a misreading of TikTok would be on both sides.
func TestImportsNothingOfTheProject(t *testing.T) {
	const module = "github.com/tiktok-operator/tiktok-operator/"
	for _, dir := range []string{".", "../../cmd/tiktok-simulator"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", dir, err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range parsed.Imports {
				path := strings.Trim(spec.Path.Value, `"`)
				if strings.HasPrefix(path, module) && path != module+"internal/simulator" {
					t.Errorf("%s imports %s", file, path)
				}
			}
		}
	}
}

// The page describes every path, field and flag; this keeps it from falling behind.
func TestReferenceIsComplete(t *testing.T) {
	raw, err := os.ReadFile("../../docs/reference/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	words := []string{
		tokenEndpoint, refreshEndpoint, revokeEndpoint, infoEndpoint, getEndpoint, listEndpoint, updateEndpoint, deleteEndpoint,
		conversationsEndpoint, contentEndpoint, sendEndpoint, uploadEndpoint, downloadEndpoint, capabilityEndpoint,
		"/user", "/admin/conversations", "/admin/state", "/admin/faults", "/admin/calls", "/admin/calls/count", "/admin/businesses", "/admin/consent", "/admin/tokens",
		"/admin/tokens/revoke", "/admin/app", "/admin/webhook", "/admin/events", "/admin/deliveries",
		"40001", "40002", "40007", "40100", "40101", "40105", "40110", "40064", "40908", "invalid_scope", "access_denied",
	}
	for _, dir := range []string{".", "../../cmd/tiktok-simulator"} {
		files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			words = append(words, documented(file, string(source))...)
		}
	}
	for _, word := range words {
		if !strings.Contains(page, word) {
			t.Errorf("docs/reference/simulator.md does not mention %s", word)
		}
	}
}

// documented are the JSON fields and the flags of a source file.
func documented(file, source string) []string {
	if strings.HasSuffix(file, "_test.go") {
		return nil
	}
	var out []string
	for _, line := range strings.Split(source, "\n") {
		if _, tag, ok := strings.Cut(line, "`json:\""); ok {
			if name := strings.FieldsFunc(tag, func(r rune) bool { return r == ',' || r == '"' })[0]; name != "-" && !strings.Contains(name, "_") { // those are TikTok's
				out = append(out, "`"+name+"`")
			}
		}
		if _, call, ok := strings.Cut(line, "Var(&"); ok && strings.Contains(file, "options.go") {
			if parts := strings.SplitN(call, `"`, 3); len(parts) == 3 {
				out = append(out, "--"+parts[1])
			}
		}
	}
	return out
}
