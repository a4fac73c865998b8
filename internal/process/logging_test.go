package process_test

import (
	"flag"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/process"
)

// From level 8 on, the Kubernetes client would print Secrets.
func TestLogLevelIsCapped(t *testing.T) {
	for level, want := range map[string]int{"info": 0, "debug": 1, "3": 3, "5": 5, "6": 5, "10": 5} {
		var f process.Flags
		fs := flag.NewFlagSet("x", flag.ContinueOnError)
		f.Bind(fs, "0")
		log, err := f.Parse(fs, []string{"--zap-log-level", level, "--namespace", "x"})
		if err != nil {
			t.Fatal(err)
		}
		for v := range 12 {
			if got := log.V(v).Enabled(); got != (v <= want) {
				t.Errorf("at level %s, V(%d) is enabled: %t", level, v, got)
			}
		}
	}
}
