package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func board(t *testing.T) *dashboard {
	t.Helper()
	d, err := readDashboard(filepath.Join(top, dashboardSource))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (r rectangle) overlaps(o rectangle) bool {
	return r.X < o.X+o.W && o.X < r.X+r.W && r.Y < o.Y+o.H && o.Y < r.Y+r.H
}

func TestDashboardPanelsHaveTheirPlaces(t *testing.T) {
	d := board(t)
	if d.UID == "" || d.SchemaVersion < 39 || len(d.Panels) == 0 { // 39 is that of Grafana 11
		t.Errorf("uid %q, schema version %d, %d panels", d.UID, d.SchemaVersion, len(d.Panels))
	}
	ids := map[int]bool{}
	for i := range d.Panels {
		p := &d.Panels[i]
		if p.ID == 0 || ids[p.ID] {
			t.Errorf("%s: the id %d is none, or another panel's", p.Title, p.ID)
		}
		ids[p.ID] = true
		if g := p.GridPos; g.W < 1 || g.H < 1 || g.X < 0 || g.Y < 0 || g.X+g.W > 24 {
			t.Errorf("%s is at %+v", p.Title, g)
		}
		for j := range i {
			if o := &d.Panels[j]; o.GridPos.overlaps(p.GridPos) {
				t.Errorf("%s %+v overlaps %s %+v", p.Title, p.GridPos, o.Title, o.GridPos)
			}
		}
	}
}

func TestDashboardAsksTheChosenDataSource(t *testing.T) {
	d := board(t)
	want := source{Type: "prometheus", UID: "${datasource}"}
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Type+" "+v.Name)
	}
	if !slices.Equal(variables, []string{"datasource datasource", "query namespace", "query channel"}) {
		t.Errorf("the variables are %v", variables)
	}
	for i := range d.Panels {
		p := &d.Panels[i]
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Datasource != want {
			t.Errorf("%s asks %+v for %d series", p.Title, p.Datasource, len(p.Targets))
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if target.Datasource != want || refs[target.RefID] {
				t.Errorf("%s: %+v", p.Title, target)
			}
			refs[target.RefID] = true
		}
	}
}

// That Prometheus understands the expressions is for promtool to say (make alerts).
func TestDashboardAndMetricsFitEachOther(t *testing.T) {
	d := board(t)
	known := reference(t)
	asked := d.expressions()
	for _, v := range d.Templating.List {
		asked = append(asked, v.Definition)
	}
	used := map[string]bool{}
	for _, e := range asked {
		for _, m := range metricsIn(e) {
			if !slices.Contains(known, m) {
				t.Errorf("the dashboard uses %s, which docs/reference/metrics.md does not have", m)
			}
			used[m] = true
		}
		if left := strings.ReplaceAll(e, `namespace=~"$namespace"`, ""); strings.Contains(left, "$") {
			t.Errorf("a variable that nobody sets: %s", e)
		}
	}
	for _, a := range alerts(t) {
		for _, m := range metricsIn(a.Expr) {
			used[m] = true
		}
	}
	for _, m := range known {
		base, isCount := strings.CutSuffix(m, "_count")
		_, isSum := strings.CutSuffix(m, "_sum")
		if isSum || isCount && used[base+"_bucket"] {
			continue // the buckets say more
		}
		if !used[m] {
			t.Errorf("neither the dashboard nor an alert uses %s", m)
		}
	}
}
