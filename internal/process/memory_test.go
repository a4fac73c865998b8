package process

import (
	"errors"
	"math"
	"os"
	"runtime/debug"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr/testr"
)

func TestBoundMemory(t *testing.T) {
	for name, tt := range map[string]struct {
		limit memlimit.Provider
		env   string
		want  int64
	}{
		"a container's limit": {memlimit.Limit(512 << 20), "", 456340275},
		"none":                {func() (uint64, error) { return 0, memlimit.ErrNoLimit }, "", math.MaxInt64},
		"not known":           {func() (uint64, error) { return 0, errors.New("no control groups") }, "", 1 << 40},
		"overruled":           {memlimit.Limit(512 << 20), "1TiB", 1 << 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOMEMLIMIT", tt.env)
			if tt.env == "" {
				if err := os.Unsetenv("GOMEMLIMIT"); err != nil {
					t.Fatal(err)
				}
			}
			before := debug.SetMemoryLimit(1 << 40)
			t.Cleanup(func() { debug.SetMemoryLimit(before) })
			boundMemory(testr.New(t), tt.limit)
			if got := debug.SetMemoryLimit(-1); got != tt.want {
				t.Errorf("the limit is %d, want %d", got, tt.want)
			}
			if got := MemoryLimit(); got != tt.want%math.MaxInt64 {
				t.Errorf("the process is told a limit of %d, want %d, and 0 for none", got, tt.want)
			}
		})
	}
}

func TestCollectLate(t *testing.T) {
	for name, tt := range map[string]struct {
		limit int64
		env   string
		want  int
	}{
		"a limit":          {512 << 20, "", latePercent},
		"none":             {math.MaxInt64, "", 100},
		"a share is given": {512 << 20, "75", 100}, // the runtime has taken it already
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", tt.env)
			limit, percent := debug.SetMemoryLimit(tt.limit), debug.SetGCPercent(100)
			t.Cleanup(func() {
				debug.SetMemoryLimit(limit)
				debug.SetGCPercent(percent)
			})
			CollectLate()
			if got := debug.SetGCPercent(100); got != tt.want {
				t.Errorf("the collector waits until the heap has grown by %d %%, want %d %%", got, tt.want)
			}
		})
	}
}
