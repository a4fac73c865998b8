package eventlog

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
)

// Defaults of Options.
const (
	// DefaultMaxAge is one day longer than the longest delivery.maxAge of a sink, so that no event ends before its delivery gave up.
	DefaultMaxAge = 31 * 24 * time.Hour
	// DefaultDedupWindow is one hour longer than the span over which TikTok retries a webhook.
	DefaultDedupWindow = 73 * time.Hour
	// DefaultMinFreeBytes is the disk space that an embedded log leaves free.
	DefaultMinFreeBytes = 64 << 20
	// DefaultTimeout bounds one operation whose context has no deadline.
	DefaultTimeout = 5 * time.Second

	// setupTimeout bounds the setting up of the streams when the log opens, for a disk that is busy with others' restarts too.
	setupTimeout = 2 * time.Minute

	// UnroutedMaxAge is how long an event of an unknown business waits for its channel.
	UnroutedMaxAge = 24 * time.Hour
	// DeadLetterMaxAge is how long a dead letter is kept.
	DeadLetterMaxAge = 30 * 24 * time.Hour
	// deadDedupWindow is how long a dead letter that is added twice, by a crash or a lost answer, is recognised.
	deadDedupWindow = 24 * time.Hour
	// OnceMaxAge is how long a single-use id is remembered.
	OnceMaxAge = 24 * time.Hour
)

// Fsync says when the embedded log is forced to the disk: before every acknowledgement (FsyncAlways, the zero value), or at an interval, which
// may lose the acknowledged events of that interval in a power cut (not in a crash of the process). It is a flag.Value.
type Fsync time.Duration

// FsyncAlways forces every event to the disk before it is acknowledged.
const FsyncAlways Fsync = 0

// String implements flag.Value.
func (f *Fsync) String() string {
	if f == nil || *f == FsyncAlways {
		return "always"
	}
	return time.Duration(*f).String()
}

// Set implements flag.Value: "always" or an interval of 10ms to 10m.
func (f *Fsync) Set(s string) error {
	if s == "always" {
		*f = FsyncAlways
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 10*time.Millisecond || d > 10*time.Minute {
		return errors.New(`it must be "always" or an interval between 10ms and 10m`)
	}
	*f = Fsync(d)
	return nil
}

// Options of Open. Exactly one of DataDir and URL is set.
type Options struct {
	// DataDir is where the embedded server keeps its files. One process at a time may use it.
	DataDir string
	// URL of an external NATS server (or several, separated by commas) with JetStream.
	URL string
	// CredsFile authenticates at URL; optional.
	CredsFile string
	// CAFile has the certificates of the authorities that URL is trusted by; optional. CertFile and KeyFile authenticate this client; optional.
	CAFile, CertFile, KeyFile string
	// Replicas of the streams of an external cluster; 0 means 3 on a cluster, and never fewer than there are. The embedded server has one.
	Replicas int

	// Fsync of the embedded server; an external one has its own setting.
	Fsync Fsync
	// MaxBytes bounds the stored events; 0 means by the disk only.
	MaxBytes int64
	// MaxAge is how long events are kept, delivered or not; 0 means DefaultMaxAge. Not below DedupWindow.
	MaxAge time.Duration
	// DedupWindow is how long a repeated event is recognised; 0 means DefaultDedupWindow.
	DedupWindow time.Duration
	// MinFreeBytes is the disk space that the embedded log leaves free: below it, events are refused; 0 means DefaultMinFreeBytes.
	MinFreeBytes uint64

	// MemoryLimit is what this process may take of memory, in bytes. An embedded log refuses events before the ids by which it recognises
	// duplicates take more of it than leaves the rest enough; 0 means that nothing bounds them.
	MemoryLimit int64

	// Clock is for single-use ids, and for when ids of events are counted as ended; nil means the real one. The server's own times (retention,
	// duplicates) are the machine's.
	Clock clock.PassiveClock
	// Log receives the server's warnings.
	Log logr.Logger

	// jobAckWait is after how long without a sign of life a job counts as abandoned; 0 means defaultJobAckWait.
	jobAckWait time.Duration
	// processPatience is how long a server may be storing one message; 0 means defaultProcessPatience.
	processPatience time.Duration
}

func (o *Options) complete() error {
	switch {
	case o.DataDir == "" && o.URL == "":
		return errors.New("the event log needs a data directory (embedded) or the URL of a NATS server")
	case o.DataDir != "" && o.URL != "":
		return errors.New("the event log takes a data directory (embedded) or the URL of a NATS server, not both")
	case o.DataDir != "" && o.Replicas > 1:
		return errors.New("the embedded event log has one replica: use an external NATS cluster for more")
	}
	if o.MaxAge == 0 {
		o.MaxAge = DefaultMaxAge
	}
	if o.DedupWindow == 0 {
		o.DedupWindow = DefaultDedupWindow
	}
	if o.DedupWindow < 0 || o.MaxAge < o.DedupWindow {
		return fmt.Errorf("events must be kept at least as long as duplicates are recognised: %s is shorter than %s", o.MaxAge, o.DedupWindow)
	}
	if o.MaxBytes < 0 {
		return errors.New("the size limit of the event log must not be negative")
	}
	if o.MinFreeBytes == 0 {
		o.MinFreeBytes = DefaultMinFreeBytes
	}
	if o.jobAckWait == 0 {
		o.jobAckWait = defaultJobAckWait
	}
	if o.processPatience == 0 {
		o.processPatience = defaultProcessPatience
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	return nil
}
