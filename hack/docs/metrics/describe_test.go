package main

import (
	"reflect"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

type state struct{ desc *prometheus.Desc }

func (s state) Describe(out chan<- *prometheus.Desc) { out <- s.desc }
func (state) Collect(chan<- prometheus.Metric)       {}

func TestDescribe(t *testing.T) {
	var h heard
	h.MustRegister(
		prometheus.NewHistogram(prometheus.HistogramOpts{Name: "d_seconds", Help: "A histogram."}),
		prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "c_seconds", Help: "Its vector."}, []string{"x"}),
		prometheus.NewCounterVec(prometheus.CounterOpts{Name: "a_total", Help: `Says "so" {x}, y.`}, []string{"app", "code"}),
		prometheus.NewCounter(prometheus.CounterOpts{Name: "b_total", Help: "One."}),
		prometheus.NewGauge(prometheus.GaugeOpts{Name: "f", Help: "A gauge."}),
		state{desc: prometheus.NewDesc("e", "A state.", []string{"namespace"}, nil)},
	)
	got, err := h.describe()
	if err != nil {
		t.Fatal(err)
	}
	want := []metric{
		{"a_total", "counter", `Says "so" {x}, y.`, []string{"app", "code"}}, {"b_total", "counter", "One.", nil},
		{"c_seconds", "histogram", "Its vector.", []string{"x"}}, {"d_seconds", "histogram", "A histogram.", nil},
		{"e", "gauge", "A state.", []string{"namespace"}}, {"f", "gauge", "A gauge.", nil},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
