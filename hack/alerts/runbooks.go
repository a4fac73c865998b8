package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const runbooks = "docs/runbooks"

// runbookQueries are the lines of the blocks of PromQL in the runbooks, each of which is an expression.
func runbookQueries(folder string) ([]string, error) {
	pages, err := filepath.Glob(filepath.Join(folder, "*.md"))
	if err != nil {
		return nil, fmt.Errorf("listing the runbooks: %w", err)
	}
	var all []string
	for _, p := range pages {
		text, err := os.ReadFile(p)
		if err != nil {
			return nil, fmt.Errorf("reading a runbook: %w", err)
		}
		inside := false
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(line, "```"):
				inside = line == "```promql"
			case inside && line != "":
				all = append(all, line)
			}
		}
	}
	return all, nil
}
