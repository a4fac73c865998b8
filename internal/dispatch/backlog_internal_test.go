package dispatch

import (
	"math/rand/v2"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// TestTheBacklogIsExactInWhateverOrder: events are stored one after the other; that the log tells of one, and that it is read, comes later, in whatever
// order the goroutines are that do so, and a count may begin and end anywhere in between.
func TestTheBacklogIsExactInWhateverOrder(t *testing.T) {
	const events, most = 40, 6
	for seed := range uint64(20_000) {
		random := rand.New(rand.NewPCG(seed, 1))
		var b waiting
		var untold []uint64
		var stored, read, from, through, count uint64
		counts := 0
		for stored < events || len(untold) > 0 || b.counting || counts == 0 {
			switch random.IntN(6) {
			case 0:
				if stored < events {
					stored++
					untold = append(untold, stored)
				}
			case 1, 2: // whoever stores at the same time may tell of it in another order
				if n := len(untold); n > 0 {
					i := random.IntN(min(n, most))
					b.tell(untold[i])
					untold = append(untold[:i], untold[i+1:]...)
				}
			case 3:
				if read < stored && read < events/2 {
					read++
					b.take(read)
				}
			case 4:
				if !b.counting && counts < 3 {
					b.counting, b.told, b.taken, from, through = true, nil, nil, read, 0
				}
			case 5: // the server counts at one time, and is heard at another
				switch {
				case b.counting && through == 0 && stored > 0:
					through = stored
					count = through - min(from, through)
				case b.counting && through > 0:
					b.settle(eventlog.Backlog{Count: count, Through: through, Exact: true})
					b.counting = false
					counts++
				}
			}
		}
		if got := b.waits(); got != stored-read {
			t.Fatalf("seed %d: %d wait, and %d are counted", seed, stored-read, got)
		}
	}
}
