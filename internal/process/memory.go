package process

import (
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"
)

// memoryShare of a container's memory is for what the garbage collector manages; the rest is for the binary and what the kernel keeps for it.
const memoryShare = 0.85

// CollectLate has the garbage collector wait until the heap is five times what was in use after the last time, where a memory limit bounds it. It
// trades memory that is there for processor time: what a webhook leaves behind is collected a third as often. $GOGC overrules it. Call it
// after BoundMemory.
func CollectLate() {
	if os.Getenv("GOGC") == "" && MemoryLimit() != 0 {
		debug.SetGCPercent(latePercent)
	}
}

// MemoryLimit is what the garbage collector keeps to, in bytes; 0 if nothing bounds it. Ask after BoundMemory.
func MemoryLimit() int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit
	}
	return 0
}

// latePercent is for CollectLate.
const latePercent = 400

// BoundMemory has the garbage collector keep to the memory limit of the container, which it does not know by itself: it lets the heap grow to twice
// what is in use, and the kernel ends who exceeds the limit. $GOMEMLIMIT overrules it, and $AUTOMEMLIMIT is another share, or "off".
func BoundMemory(log logr.Logger) { boundMemory(log, memlimit.FromCgroup) }

func boundMemory(log logr.Logger, limit memlimit.Provider) {
	bytes, err := memlimit.Set(memlimit.WithRatio(memoryShare), memlimit.WithProvider(limit))
	switch {
	case err != nil: // there are no control groups, as on a developer's machine
		log.V(1).Info("The container's memory limit is not known", "reason", err.Error())
	case bytes != math.MaxInt64:
		log.Info("The garbage collector keeps to a memory limit", "bytes", bytes)
	}
}
