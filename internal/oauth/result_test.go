package oauth_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/oauth"
)

// TestResultsAreDocumented compares the results with the table of the reference page.
func TestResultsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/authorization.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, line := range strings.Split(string(page), "\n") {
		if cells := strings.Split(line, "|"); len(cells) > 3 && strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			documented[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[2])
		}
	}
	for _, r := range oauth.Results() {
		status := documented[string(r)]
		if want := strings.Fields(status + " -")[0]; want != strconv.Itoa(r.Status()) {
			t.Errorf("%s is documented with %q, but its status is %d", r, status, r.Status())
		}
	}
}
