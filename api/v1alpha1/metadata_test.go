package v1alpha1_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The page of labels and annotations says what the code has, no more and no less.
func TestMetadataPage(t *testing.T) {
	code, err := os.ReadFile("metadata.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/reference/metadata.md")
	if err != nil {
		t.Fatal(err)
	}
	var inCode, onPage []string
	for _, m := range regexp.MustCompile(`= Group \+ "/([a-z-]+)"`).FindAllStringSubmatch(string(code), -1) {
		inCode = append(inCode, m[1])
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `channels\\.tiktok-operator\\.io/([a-z-]+)`").FindAllStringSubmatch(string(page), -1) {
		onPage = append(onPage, m[1])
	}
	slices.Sort(inCode)
	slices.Sort(onPage)
	if len(inCode) == 0 || !slices.Equal(inCode, onPage) {
		t.Fatalf("the code has %s, the page %s", strings.Join(inCode, " "), strings.Join(onPage, " "))
	}
}
