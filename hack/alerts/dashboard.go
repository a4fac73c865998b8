package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

const dashboardSource = "config/monitoring/dashboard.json"

// dashboard is what is looked at of Grafana's document.
type dashboard struct {
	UID           string  `json:"uid"`
	SchemaVersion int     `json:"schemaVersion"`
	Panels        []panel `json:"panels"`
	Templating    struct {
		List []struct {
			Name       string `json:"name"`
			Type       string `json:"type"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []struct {
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
}

type panel struct {
	ID         int       `json:"id"`
	Type       string    `json:"type"`
	Title      string    `json:"title"`
	GridPos    rectangle `json:"gridPos"`
	Datasource source    `json:"datasource"`
	Targets    []struct {
		RefID      string `json:"refId"`
		Expr       string `json:"expr"`
		Datasource source `json:"datasource"`
	} `json:"targets"`
}

type rectangle struct{ X, Y, W, H int }

type source struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

func readDashboard(path string) (*dashboard, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the dashboard: %w", err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("reading the dashboard: %w", err)
	}
	return &d, nil
}

// expressions are all that the dashboard asks Prometheus, as it does when every channel is chosen.
func (d *dashboard) expressions() []string {
	variables := strings.NewReplacer("$__rate_interval", "5m", "$namespace", ".*", "$channel", ".*")
	var all []string
	for i := range d.Panels {
		for _, t := range d.Panels[i].Targets {
			all = append(all, variables.Replace(t.Expr))
		}
	}
	for _, a := range d.Annotations.List {
		if a.Expr != "" {
			all = append(all, variables.Replace(a.Expr))
		}
	}
	return all
}

// recordings are expressions as a rule file, so that promtool can say whether Prometheus understands them.
func recordings(expressions []string) string {
	var out strings.Builder
	out.WriteString("groups:\n- name: expressions\n  rules:\n")
	for i, e := range expressions {
		fmt.Fprintf(&out, "  - record: expression:%d\n    expr: %s\n", i, strconv.Quote(e))
	}
	return out.String()
}
