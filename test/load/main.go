// Command load measures the project's budgets (docs/explanation/measurements.md): with the real binaries, on a real API server, on loopback,
// next to bare reference programs in the same run. It ends by itself, and badly only where something is lost, doubled or out of order:
// never for being slow.
//
// Usage: load [flags] [suite…], where a suite is channels, accept, deliver, send, faults or backlog; none means all.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// options are the flags.
type options struct {
	suites []string

	channels, namespaces, rate int
	idle                       time.Duration
	qps                        float64

	senders, rounds int
	round           time.Duration
	interval        time.Duration
	events          int

	conversations, crashes int
	away                   time.Duration
	fault                  string
	backlog                int
	backlogChannels        int
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == bareCommand {
		if err := runBare(os.Args[2:]); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", bareCommand, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, o)
	}
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted: everything that was started has been taken down")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// suites in the order in which they run.
var suites = []struct {
	name string
	run  func(context.Context, *stage, options, *report) error
}{
	{"channels", measureChannels},
	{"accept", measureAccept},
	{"deliver", measureDeliver},
	{"send", measureSend},
	{"faults", measureFaults},
	{"backlog", measureBacklog},
}

// parse reads flags and names of suites, in any order.
func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("load", flag.ContinueOnError)
	fs.IntVar(&o.channels, "channels", 10_000, "channels: how many channels")
	fs.IntVar(&o.namespaces, "namespaces", 20, "channels: how many namespaces they are in")
	fs.IntVar(&o.rate, "rate", 50, "channels: the app's rate limit, in calls to TikTok a second, when all are due at once")
	fs.DurationVar(&o.idle, "idle", time.Minute, "channels: how long to watch them idle")
	fs.Float64Var(&o.qps, "kube-api-qps", 100, "channels: the manager's flag of that name")
	fs.IntVar(&o.senders, "senders", 32, "accept: how many webhooks are sent at once")
	fs.IntVar(&o.rounds, "rounds", 3, "accept, deliver: how often each of the two is measured, in turns; the median counts")
	fs.DurationVar(&o.round, "round", 5*time.Second, "accept: how long a round takes")
	fs.DurationVar(&o.interval, "fsync-interval", time.Second, "accept: the interval of the mode that is not always")
	fs.IntVar(&o.events, "events", 10_000, "deliver, faults: how many events a round delivers, or a fault is in the way of")
	fs.IntVar(&o.conversations, "conversations", 200, "faults: of how many conversations the events are")
	fs.DurationVar(&o.away, "away", time.Minute, "faults: how long something stays away that comes back")
	fs.IntVar(&o.crashes, "crashes", 10, "faults: how often the webhook binary is killed, and restarted")
	fs.StringVar(&o.fault, "fault", "", "faults: the only one to take, by its name in the table")
	fs.IntVar(&o.backlog, "backlog", 1_000_000, "backlog: how many events wait")
	fs.IntVar(&o.backlogChannels, "backlog-channels", businesses, "backlog: of how many channels they are")
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			return o, err
		}
		if args = fs.Args(); len(args) > 0 {
			o.suites, args = append(o.suites, args[0]), args[1:]
		}
	}
	var names []string
	for _, s := range suites {
		names = append(names, s.name)
	}
	for _, name := range o.suites {
		if !slices.Contains(names, name) {
			return o, fmt.Errorf("there is no suite %q: the suites are %s", name, strings.Join(names, ", "))
		}
	}
	if len(o.suites) == 0 {
		o.suites = names
	}
	if o.channels < 1 || o.channels > maxChannels || o.namespaces < 1 || o.rate < 1 || o.rate > maxRate {
		return o, fmt.Errorf("-channels is 1 to %d, -namespaces at least 1, and -rate 1 to %d", maxChannels, maxRate)
	}
	if o.conversations < 1 || o.away <= 0 || o.crashes < 1 || o.backlog < 1 {
		return o, errors.New("-conversations, -away, -crashes and -backlog must be positive")
	}
	if o.backlogChannels < 1 || o.backlogChannels > backlogConversations {
		return o, fmt.Errorf("-backlog-channels is 1 to %d, the number of conversations", backlogConversations)
	}
	if o.senders < 1 || o.rounds < 1 || o.round <= 0 || o.events < 1 {
		return o, errors.New("-senders, -rounds, -round and -events must be positive")
	}
	return o, nil
}

func run(ctx context.Context, o options) (err error) {
	ctrl.SetLogger(logr.Discard()) // of what runs in this process; the binaries write their own logs
	dir, err := os.MkdirTemp("", "tiktok-operator-load-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			say("The binaries' logs are kept in %s", dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	say("Building the binaries")
	if err := program.Build(ctx, dir, []string{"manager", "webhook", "nats-server"}); err != nil {
		return fmt.Errorf("the load suite runs from the checkout's top: %w", err)
	}
	rep := newReport()
	for _, suite := range suites {
		if !slices.Contains(o.suites, suite.name) {
			continue
		}
		s := &stage{binaries: dir, dir: filepath.Join(dir, suite.name)}
		err := s.open()
		if err == nil {
			err = suite.run(ctx, s, o, rep)
		}
		if err = errors.Join(err, s.close()); err != nil {
			rep.print(os.Stdout) // as far as it came
			return fmt.Errorf("suite %s: %w", suite.name, err)
		}
	}
	rep.print(os.Stdout)
	return rep.failure()
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}
