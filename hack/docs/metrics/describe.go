package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// metric is one row.
type metric struct {
	name, kind, help string
	labels           []string
}

// A Desc tells what is in it by its text only.
var descText = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"),.* variableLabels: \{(.*)\}\}$`)

// describe lists the metrics, sorted by name.
func (h *heard) describe() ([]metric, error) {
	var metrics []metric
	for _, c := range h.collectors {
		descs := make(chan *prometheus.Desc)
		go func() {
			c.Describe(descs)
			close(descs)
		}()
		for d := range descs {
			m, err := read(d, kind(c))
			if err != nil {
				return nil, err
			}
			metrics = append(metrics, m)
		}
	}
	slices.SortFunc(metrics, func(a, b metric) int { return cmp.Compare(a.name, b.name) })
	return metrics, nil
}

func kind(c prometheus.Collector) string {
	switch c.(type) {
	case *prometheus.GaugeVec, prometheus.Gauge: // first: a gauge has all that a counter has
		return "gauge"
	case *prometheus.CounterVec, prometheus.Counter:
		return "counter"
	case *prometheus.HistogramVec, prometheus.Histogram:
		return "histogram"
	default:
		return "gauge" // the collectors that look at the state when they are scraped; the tests of the binaries compare this with a scrape
	}
}

func read(d *prometheus.Desc, kind string) (metric, error) {
	m := descText.FindStringSubmatch(d.String())
	if m == nil {
		return metric{}, fmt.Errorf("this text of a Desc has a new form: %s", d)
	}
	name, nameErr := strconv.Unquote(m[1])
	help, helpErr := strconv.Unquote(m[2])
	if nameErr != nil || helpErr != nil {
		return metric{}, fmt.Errorf("this text of a Desc has a new form: %s", d)
	}
	var labels []string
	if m[3] != "" {
		labels = strings.Split(m[3], ",")
	}
	return metric{name: name, kind: kind, help: help, labels: labels}, nil
}
