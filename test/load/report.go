package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is one line of the table. reference, ratio and budget may be empty; without a budget nothing is said about meeting it.
type row struct {
	work, measured, reference, ratio, budget string
	met                                      bool
}

// report collects what is measured and what went wrong.
type report struct {
	began  time.Time
	load   string
	rows   []row
	tables []string // Markdown, printed below the rows
	notes  []string
	errors []error
}

func newReport() *report { return &report{began: time.Now(), load: loadAverage()} }

func (r *report) add(rows ...row) { r.rows = append(r.rows, rows...) }

func (r *report) table(markdown string) { r.tables = append(r.tables, markdown) }

// note is a sentence below the table.
func (r *report) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// check makes the run fail unless ok: for what must hold however slow the machine is.
func (r *report) check(ok bool, format string, args ...any) {
	if !ok {
		r.errors = append(r.errors, fmt.Errorf(format, args...))
	}
}

func (r *report) failure() error { return errors.Join(r.errors...) }

func (r *report) print(out io.Writer) {
	if len(r.rows)+len(r.tables) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%d processors, %s; load average before %s, after %s; took %s\n\n", runtime.NumCPU(), runtime.Version(),
		r.load, loadAverage(), time.Since(r.began).Round(time.Second))
	r.printRows(out)
	for _, table := range r.tables {
		fmt.Fprintf(out, "\n%s\n", table)
	}
	for _, note := range r.notes {
		fmt.Fprintf(out, "\n%s\n", note)
	}
	for _, err := range r.errors {
		fmt.Fprintf(out, "\nWRONG: %v\n", err)
	}
	fmt.Fprintln(out)
}

func (r *report) printRows(out io.Writer) {
	if len(r.rows) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "work\tmeasured\treference\tratio\tbudget\tmet")
	for _, x := range r.rows {
		met := ""
		if x.budget != "" {
			met = map[bool]string{true: "yes", false: "NO"}[x.met]
		}
		fmt.Fprintln(w, strings.Join([]string{x.work, x.measured, x.reference, x.ratio, x.budget, met}, "\t"))
	}
	_ = w.Flush() // a terminal that went away
}

// atMost is a row of a count or a size with an upper budget.
func atMost(work string, measured, budget float64, unit string) row {
	return row{work: work, measured: number(measured) + unit, budget: "≤ " + number(budget) + unit, met: measured <= budget}
}

// told is a row without a budget.
func told(work, format string, args ...any) row {
	return row{work: work, measured: fmt.Sprintf(format, args...)}
}

func number(x float64) string {
	switch {
	case x == float64(int64(x)):
		return fmt.Sprintf("%d", int64(x))
	case x < 10:
		return fmt.Sprintf("%.2f", x)
	default:
		return fmt.Sprintf("%.0f", x)
	}
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:1], " ")
}
