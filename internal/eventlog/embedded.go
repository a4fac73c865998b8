package eventlog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	storeName = "jetstream"
	lockName  = "lock"

	// maxPayload holds the largest webhook body (1 MiB) with its headers.
	maxPayload = 2 << 20
	// Effectively no limit of the server's own: MaxBytes of the stream and the disk guard are the limits. The server's default, a share of
	// what is free when it starts, would refuse events on a disk that has room.
	maxStore = 1 << 60

	// maxUnanswered is how long appends may go without an answer before the server counts as dead.
	maxUnanswered = 30 * time.Second
)

// embedded is a NATS server inside this process, which listens nowhere, with the data directory that it alone uses.
type embedded struct {
	dir    string
	lock   *os.File
	server *server.Server
	log    *serverLog
	guard  diskGuard
	ids    idGuard
	// durable means that what was acknowledged is on the disk whatever happens.
	durable bool
	// unanswered is when the first append of those that got no answer since the last one that did was given up, in Unix nanoseconds; or 0.
	unanswered atomic.Int64
	// accepted is the file by which the user accepts loss, if there is any and it was accepted.
	accepted string
}

// startEmbedded locks the directory and starts the server on it.
func startEmbedded(ctx context.Context, opts *Options) (_ *embedded, err error) {
	e := &embedded{dir: opts.DataDir, durable: opts.Fsync == FsyncAlways, log: &serverLog{log: opts.Log.WithName("nats")}}
	e.guard = diskGuard{dir: opts.DataDir, minFree: opts.MinFreeBytes, clock: opts.Clock}
	e.ids = idGuard{limit: idLimit(opts.MemoryLimit), clock: opts.Clock, streams: map[string]*idWindow{}}
	store := filepath.Join(opts.DataDir, storeName)
	if err := os.MkdirAll(opts.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("making the event log's directory: %w", err)
	}
	if e.lock, err = lockDir(opts.DataDir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.stop())
		}
	}()
	// The data directory may be the root of a volume, which belongs to others; what is inside is ours alone. The server makes its files
	// readable for the group: nobody but the owner gets past this directory.
	if err := os.MkdirAll(store, 0o700); err != nil {
		return nil, fmt.Errorf("making the event log's store: %w", err)
	}
	if err := os.Chmod(store, 0o700); err != nil {
		return nil, fmt.Errorf("making the event log's store private: %w", err)
	}
	if err := e.removeIndexes(); err != nil {
		return nil, err
	}
	options := &server.Options{
		ServerName: "tiktok-operator", DontListen: true, NoSigs: true, JetStream: true, StoreDir: store,
		JetStreamMaxStore: maxStore, MaxPayload: maxPayload,
		SyncAlways: opts.Fsync == FsyncAlways, SyncInterval: time.Duration(opts.Fsync),
	}
	if e.server, err = server.NewServer(options); err != nil {
		return nil, fmt.Errorf("making the embedded NATS server: %w", err)
	}
	e.server.SetLoggerV2(e.log, false, false, false)
	started := make(chan struct{})
	go func() {
		defer close(started)
		e.server.Start() // returns once the store is recovered
	}()
	select {
	case <-started:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the event log to recover its store: %w", context.Cause(ctx))
	}
	if !e.server.ReadyForConnections(DefaultTimeout) || !e.server.JetStreamEnabled() {
		return nil, fmt.Errorf("starting the event log in %s: %s", e.dir, e.log.lastProblem())
	}
	return e, nil
}

// InProcessConn implements nats.InProcessConnProvider.
func (e *embedded) InProcessConn() (net.Conn, error) { return e.server.InProcessConn() }

// healthy says whether the server still stores.
func (e *embedded) healthy() error {
	if fatal := e.log.writeFailure(); fatal != "" {
		return &UnavailableError{
			Doing: "looking at the embedded server", Err: fmt.Errorf("a write failed, and it stores nothing more: %s; restart the process", fatal),
		}
	}
	if e.server.Running() && e.server.JetStreamEnabled() {
		return nil
	}
	return &UnavailableError{
		Doing: "looking at the embedded server", Err: fmt.Errorf("it has stopped storing: %s; restart the process", e.log.lastProblem()),
	}
}

// room says whether something may be stored.
func (e *embedded) room() error {
	if err := e.healthy(); err != nil {
		return err
	}
	return e.guard.check()
}

// roomForID says whether something may be stored that is recognised when it comes again. What was promised follows from an event that was
// acknowledged.
func (e *embedded) roomForID(promised bool) error {
	if err := e.room(); err != nil {
		return err
	}
	return e.ids.room(promised)
}

// alive says whether the server can still get well by itself. While the disk is full a restart would not help either.
func (e *embedded) alive(now time.Time) error {
	if e.guard.measure() != nil {
		return nil //nolint:nilerr // a full disk is not what this is asked for
	}
	if since := e.unanswered.Load(); since != 0 && now.Sub(time.Unix(0, since)) > maxUnanswered {
		return &UnavailableError{
			Doing: "storing events", Err: fmt.Errorf("the embedded server has answered nothing for more than %s; restart the process", maxUnanswered),
		}
	}
	return e.healthy()
}

// answered takes note of whether the server answered an append.
func (e *embedded) answered(err error, now time.Time) {
	if err == nil {
		e.unanswered.Store(0)
	} else if errors.Is(err, context.DeadlineExceeded) {
		e.unanswered.CompareAndSwap(0, now.UnixNano())
	}
}

// stop ends the server and lets the directory go.
func (e *embedded) stop() error {
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}
	if e.lock != nil {
		if err := e.lock.Close(); err != nil { // closing unlocks
			return fmt.Errorf("unlocking the event log's directory: %w", err)
		}
	}
	return nil
}

// serverLog passes the server's warnings on, and remembers the last one to explain a failed start.
type serverLog struct {
	log interface {
		Info(msg string, keysAndValues ...any)
		Error(err error, msg string, keysAndValues ...any)
	}
	mu      sync.Mutex
	problem string
	// fatal is the last thing that was said of a write that failed: the server stores nothing more in that stream until it is started again.
	fatal string
}

// writeFailed is how the server says that, in the only place where it does.
const writeFailed = "critical write error"

func (l *serverLog) remember(format string, v []any) string {
	text := strings.TrimSpace(fmt.Sprintf(format, v...))
	l.mu.Lock()
	l.problem = text
	if strings.Contains(text, writeFailed) {
		l.fatal = text
	}
	l.mu.Unlock()
	return text
}

func (l *serverLog) writeFailure() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

func (l *serverLog) lastProblem() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.problem == "" {
		return "the server gave no reason"
	}
	return l.problem
}

func (l *serverLog) Noticef(string, ...any) {}
func (l *serverLog) Debugf(string, ...any)  {}
func (l *serverLog) Tracef(string, ...any)  {}

func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Info("the event log's server warns", "text", l.remember(format, v))
}

func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Error(nil, "the event log's server reports an error", "text", l.remember(format, v))
}

// Fatalf does not end the process: the server stops by itself, and Open or Ready says why.
func (l *serverLog) Fatalf(format string, v ...any) { l.Errorf(format, v...) }
