package processtest

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/flagenv"
)

// Variables asserts that every flag reads its environment variable, that a flag on the command line wins, and that --help tells both names and
// the default. values are for flags that take no text of every kind; parse makes a new set, and binds and parses it.
func Variables(t *testing.T, values map[string]string, parse func(args ...string) (*flag.FlagSet, error)) {
	t.Helper()
	defaults, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	defaults.VisitAll(func(f *flag.Flag) {
		t.Run(f.Name, func(t *testing.T) {
			value, given := values[f.Name]
			if !given {
				value = other(f)
			}
			t.Setenv(flagenv.Variable(f.Name), value)
			fs, err := parse()
			if err != nil {
				t.Fatal(err)
			}
			if got := fs.Lookup(f.Name).Value.String(); got != value || got == f.DefValue {
				t.Errorf("%s=%s gives %q; the default is %q", flagenv.Variable(f.Name), value, got, f.DefValue)
			}
			if f.DefValue == "" {
				return
			}
			if fs, err = parse("--" + f.Name + "=" + f.DefValue); err != nil {
				t.Fatal(err)
			}
			if got := fs.Lookup(f.Name).Value.String(); got != f.DefValue {
				t.Errorf("--%s=%s gives %q: the variable wins over the flag", f.Name, f.DefValue, got)
			}
		})
	})
}

// other is a value that is not a flag's default.
func other(f *flag.Flag) string {
	if g, ok := f.Value.(flag.Getter); ok {
		switch v := g.Get().(type) {
		case bool:
			return fmt.Sprint(!v)
		case int:
			return fmt.Sprint(v + 1)
		case float64:
			return fmt.Sprint(v + 1)
		case time.Duration:
			return (v + time.Second).String()
		}
	}
	return "other"
}

// Help asserts that help tells every flag of fs with its meaning, default and variable.
func Help(t *testing.T, help string, fs *flag.FlagSet) {
	t.Helper()
	fs.SetOutput(io.Discard)
	fs.VisitAll(func(f *flag.Flag) {
		begin := strings.Index(help, "\n  --"+f.Name)
		if begin < 0 {
			t.Errorf("--help does not tell --%s", f.Name)
			return
		}
		entry, _, _ := strings.Cut(help[begin+1:], "\n\n")
		for _, want := range []string{flagenv.Variable(f.Name), f.DefValue, f.Usage} {
			if !strings.Contains(entry, want) {
				t.Errorf("--help does not tell %q of --%s:\n%s", want, f.Name, entry)
			}
		}
	})
}

var typeLine = regexp.MustCompile(`(?m)^# TYPE (tiktok_operator_\S+) (\S+)$`)

// Documented asserts that every metric of ours in a scrape is in docs/reference/metrics.md with its type and its meaning, and returns their
// names.
func Documented(t *testing.T, scrape string) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range typeLine.FindAllStringSubmatch(scrape, -1) {
		names = append(names, m[1])
		help := regexp.MustCompile(`(?m)^# HELP ` + m[1] + ` (.*)$`).FindStringSubmatch(scrape)
		row := regexp.MustCompile("(?m)^\\| `" + m[1] + "` \\| " + m[2] + " \\|.*$").FindString(string(page))
		if len(help) < 2 || !strings.Contains(row, help[1]) {
			t.Errorf("docs/reference/metrics.md lacks the %s %s (%q); run make docs", m[2], m[1], help)
		}
	}
	return names
}
