package authorize

import (
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

func TestProgress(t *testing.T) {
	for name, tt := range map[string]struct {
		terminal bool
		want     string
	}{
		"in a log": {false, "nobody has consented\nready\n"},
		"at a terminal": {true, "nobody has consented\n" + eraseLine + "⠋ waiting for 0s" + eraseLine + "⠙ waiting for 2s" + eraseLine + "ready\n" +
			eraseLine + "⠹ waiting for 2s" + eraseLine},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			clock := clocktesting.NewFakePassiveClock(time.Unix(1000, 0))
			p := newProgress(&out, clock)
			p.terminal = tt.terminal
			p.tell("nobody has consented")
			clock.SetTime(time.Unix(1002, 0))
			p.tell("nobody has consented")
			p.tell("ready")
			p.end()
			if out.String() != tt.want {
				t.Errorf("it says %q, want %q", out.String(), tt.want)
			}
		})
	}
}
