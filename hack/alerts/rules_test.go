package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const runbookURL = "https://github.com/tiktok-operator/tiktok-operator/blob/main/docs/runbooks/"

// top is the way from here to the top of the checkout.
var top = filepath.Join("..", "..")

// alert is a rule.
type alert struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{top}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func alerts(t *testing.T) map[string]alert {
	t.Helper()
	text, err := groupsOf(read(t, rulesSource))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]alert{}
	for _, g := range file.Groups {
		for _, a := range g.Rules {
			if _, twice := all[a.Alert]; twice {
				t.Errorf("%s is there twice", a.Alert)
			}
			all[a.Alert] = a
		}
	}
	if len(all) == 0 {
		t.Fatal("there are no alerts")
	}
	return all
}

func TestAlertsSayWhatAPersonNeeds(t *testing.T) {
	for name, a := range alerts(t) {
		if s := a.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s has the severity %q", name, s)
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s lacks a summary or a description", name)
		}
		if got := a.Annotations["runbook_url"]; got != runbookURL+name+".md" {
			t.Errorf("%s has the runbook %s", name, got)
		}
	}
}

func TestEveryAlertHasARunbookAndEveryRunbookAnAlert(t *testing.T) {
	all := alerts(t)
	list := read(t, "docs", "runbooks", "README.md")
	for name, a := range all {
		if page := read(t, "docs", "runbooks", name+".md"); !strings.HasPrefix(page, "# "+name+"\n\nSeverity: "+a.Labels["severity"]+". ") {
			t.Errorf("the page of %s does not begin with its name and its severity", name)
		}
		if !strings.Contains(list, "| ["+name+"]("+name+".md) | "+a.Labels["severity"]+" |") {
			t.Errorf("docs/runbooks/README.md does not list %s, or with another severity", name)
		}
	}
	pages, err := filepath.Glob(filepath.Join(top, "docs", "runbooks", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		name := strings.TrimSuffix(filepath.Base(p), ".md")
		if _, ok := all[name]; !ok && name != "README" {
			t.Errorf("%s is about no alert", p)
		}
	}
}

var alertName = regexp.MustCompile(`alertname="(\w+)"`)

// promtool runs these tests (make alerts); here it is seen that there are some for each alert.
func TestEveryAlertIsTestedToFireAndToBeSilent(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(top, "config", "monitoring", "tests", "*_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		var file struct {
			Tests []struct {
				Expressions []struct {
					Expr    string `json:"expr"`
					Samples []any  `json:"exp_samples"`
				} `json:"promql_expr_test"`
			} `json:"tests"`
		}
		if err := yaml.Unmarshal([]byte(read(t, "config", "monitoring", "tests", filepath.Base(f))), &file); err != nil {
			t.Fatal(err)
		}
		for _, test := range file.Tests {
			for _, e := range test.Expressions {
				name := alertName.FindStringSubmatch(e.Expr)
				switch {
				case name == nil || !strings.Contains(e.Expr, `alertstate="firing"`):
				case len(e.Samples) > 0:
					fires[name[1]] = true
				default:
					silent[name[1]] = true
				}
			}
		}
	}
	all := alerts(t)
	for name := range all {
		if !fires[name] || !silent[name] {
			t.Errorf("%s: a test expects it to fire: %t; another one expects silence: %t", name, fires[name], silent[name])
		}
	}
	for name := range fires {
		if _, ok := all[name]; !ok {
			t.Errorf("a test is about the alert %s, which does not exist", name)
		}
	}
}

func TestAlertsUseMetricsOfTheReference(t *testing.T) {
	known := reference(t)
	for name, a := range alerts(t) {
		for _, m := range metricsIn(a.Expr) {
			if !slices.Contains(known, m) {
				t.Errorf("%s uses %s, which docs/reference/metrics.md does not have", name, m)
			}
		}
		if strings.Contains(a.Expr, "job") {
			t.Errorf("%s depends on the name of a scrape job", name)
		}
	}
}

func TestRunbooksAskForMetricsOfTheReference(t *testing.T) {
	queries, err := runbookQueries(filepath.Join(top, runbooks))
	if err != nil || len(queries) == 0 {
		t.Fatalf("%d queries: %v", len(queries), err)
	}
	known := reference(t)
	for _, q := range queries {
		for _, m := range metricsIn(q) {
			if !slices.Contains(known, m) {
				t.Errorf("a runbook uses %s, which docs/reference/metrics.md does not have: %s", m, q)
			}
		}
	}
}

var (
	referenceRow = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (counter|gauge|histogram) \\|")
	metricName   = regexp.MustCompile(`\btiktok_operator_\w+`)
)

// reference is what docs/reference/metrics.md, which is generated, has; of histograms the series.
func reference(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, row := range referenceRow.FindAllStringSubmatch(read(t, "docs", "reference", "metrics.md"), -1) {
		if row[2] != "histogram" {
			names = append(names, row[1])
			continue
		}
		names = append(names, row[1]+"_bucket", row[1]+"_count", row[1]+"_sum")
	}
	if len(names) == 0 {
		t.Fatal("docs/reference/metrics.md lists no metrics")
	}
	return names
}

// metricsIn are the metrics of ours that an expression uses.
func metricsIn(expr string) []string { return metricName.FindAllString(expr, -1) }
