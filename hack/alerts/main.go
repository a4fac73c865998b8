// Command alerts prints the rule groups of the PrometheusRule in config/monitoring as a rule file of Prometheus, comments and all: what
// promtool checks, and what a chart packs. With the argument expressions it prints those of the dashboard and the
// runbooks, as a rule file too.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

const rulesSource = "config/monitoring/prometheus_rule.yaml"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "alerts:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var text string
	var err error
	switch strings.Join(args, " ") {
	case "":
		text, err = readGroups(rulesSource)
	case "expressions":
		var d *dashboard
		if d, err = readDashboard(dashboardSource); err != nil {
			return err
		}
		var queries []string
		if queries, err = runbookQueries(runbooks); err == nil {
			text = recordings(append(d.expressions(), queries...))
		}
	default:
		err = errors.New("usage: alerts [expressions]")
	}
	if err != nil {
		return err
	}
	_, err = os.Stdout.WriteString(text)
	return err
}

func readGroups(path string) (string, error) {
	manifest, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the alerts: %w", err)
	}
	return groupsOf(string(manifest))
}

// groupsOf is what stands below spec, one level further left. Only the text keeps the comments, which say why.
func groupsOf(manifest string) (string, error) {
	_, spec, ok := strings.Cut(manifest, "\nspec:\n")
	if !ok || !strings.HasPrefix(spec, "  groups:\n") {
		return "", errors.New("the manifest does not end with spec, which begins with groups")
	}
	var out strings.Builder
	for line := range strings.Lines(spec) {
		text := strings.TrimPrefix(line, "  ")
		if text == line && strings.TrimSpace(line) != "" {
			return "", fmt.Errorf("something follows spec: %q", line)
		}
		out.WriteString(text)
	}
	return out.String(), nil
}
