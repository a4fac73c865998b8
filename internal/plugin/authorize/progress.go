package authorize

import (
	"fmt"
	"io"
	"os"
	"time"

	"k8s.io/utils/clock"
)

// progress tells a person at a terminal that the command still waits; elsewhere, as in the log of a pipeline, it only tells of turns.
type progress struct {
	out      io.Writer
	terminal bool
	clock    clock.PassiveClock
	began    time.Time
	said     string
	turns    int
}

func newProgress(out io.Writer, c clock.PassiveClock) *progress {
	return &progress{out: out, terminal: isTerminal(out), clock: c, began: c.Now()}
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// frames of the spinner.
var frames = []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")

// eraseLine goes back to the beginning of the line, and erases it.
const eraseLine = "\r\x1b[K"

// tell says why the channel is not Ready, if that is news, and turns the spinner.
func (p *progress) tell(why string) {
	if why != p.said {
		p.said = why
		p.end()
		_, _ = fmt.Fprintln(p.out, why)
	}
	if p.terminal {
		_, _ = fmt.Fprintf(p.out, "%s%c waiting for %s", eraseLine, frames[p.turns%len(frames)], p.clock.Since(p.began).Truncate(time.Second))
		p.turns++
	}
}

// end erases the spinner.
func (p *progress) end() {
	if p.turns > 0 {
		_, _ = fmt.Fprint(p.out, eraseLine)
	}
}
