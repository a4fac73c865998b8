package eventlog

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Log is an open event log. It is safe for concurrent use.
type Log struct {
	opts    Options
	server  *embedded // nil with an external server
	conn    *nats.Conn
	js      jetstream.JetStream
	streams map[string]jetstream.Stream
	once    jetstream.KeyValue
	sends   jetstream.KeyValue

	watchers watchers

	epochMu    sync.Mutex
	epoch      int64
	epochEnded chan struct{}

	// The keeping of an external server's streams, and of the connections to it.
	reconnected chan struct{}
	doubts      chan inProcess
	stopKeeping context.CancelFunc
	keeping     sync.WaitGroup

	// Reads have a connection of their own: the server answers them inline, and a read from the disk must not hold up an append.
	readConn *nats.Conn
	readJS   jetstream.JetStream

	opened bool
	close  sync.Once
}

// Open starts the embedded server, or connects to an external one, and brings the streams to the form that the options want. Errors:
// *LockedError, *CorruptError, or what could not be done.
func Open(ctx context.Context, opts Options) (_ *Log, err error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	l := &Log{opts: opts, streams: map[string]jetstream.Stream{}, reconnected: make(chan struct{}, 1), doubts: make(chan inProcess, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if opts.DataDir != "" {
		if l.server, err = startEmbedded(ctx, &opts); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	if l.conn, l.js, err = l.connect("append"); err != nil {
		return nil, err
	}
	if l.readConn, l.readJS, err = l.connect("read"); err != nil {
		return nil, err
	}
	if l.server != nil {
		if err := l.server.checkIntegrity(ctx, l.conn); err != nil {
			return nil, err
		}
	}
	if err := l.setReplicas(ctx); err != nil {
		return nil, err
	}
	if err := l.ensureStreams(ctx); err != nil {
		return nil, err
	}
	if l.server != nil {
		if err := errors.Join(l.server.writeManifest(ctx, l.conn), l.server.lossAccepted()); err != nil {
			return nil, err
		}
		if err := l.countIDs(ctx); err != nil {
			return nil, err
		}
	}
	l.opened = true
	if l.server == nil {
		keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
		l.stopKeeping = stop
		l.keeping.Go(func() { l.keep(keeping) })
		l.keeping.Go(func() { l.deposeStuck(keeping) })
		l.keeping.Go(func() { l.leaveIsolated(keeping, "append", l.conn) })
		l.keeping.Go(func() { l.leaveIsolated(keeping, "read", l.readConn) })
	}
	return l, nil
}

// pingInterval is how often a silent connection is tried.
const pingInterval = 3 * time.Second

func (l *Log) connect(purpose string) (*nats.Conn, jetstream.JetStream, error) {
	options := []nats.Option{
		nats.Name("tiktok-operator " + purpose), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
		nats.Timeout(DefaultTimeout), nats.ReconnectHandler(l.onReconnect),
		// Credentials that are being rotated may be refused for a while. The library would give up at the second time, until a restart.
		nats.IgnoreAuthErrorAbort(),
		nats.ErrorHandler(l.complaints(purpose)),
		nats.SyncQueueLen(maxBatch + 1), // the library's own length takes half a megabyte for each read
	}
	target := l.opts.URL
	if l.server != nil {
		options = append(options, nats.InProcessServer(l.server))
	} else {
		// A server that is cut off closes no connection: after this, another one is asked. The library's own patience is four minutes, which is right
		// for the embedded one: it does not answer while it reads, and losing the connection would lose what it read.
		options = append(options, nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(2))
		for _, u := range strings.Split(target, ",") {
			// Checked here, since the client's own message would repeat the URL, password and all.
			if _, err := url.Parse(strings.TrimSpace(u)); err != nil {
				return nil, nil, errors.New("the URL of the NATS server cannot be parsed")
			}
		}
		if l.opts.CredsFile != "" {
			options = append(options, nats.UserCredentials(l.opts.CredsFile))
		}
		if l.opts.CAFile != "" {
			options = append(options, nats.RootCAs(l.opts.CAFile))
		}
		if l.opts.CertFile != "" {
			options = append(options, nats.ClientCert(l.opts.CertFile, l.opts.KeyFile))
		}
	}
	conn, err := nats.Connect(target, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to the event log: %w", err)
	}
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(DefaultTimeout))
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("connecting to the event log: %w", err)
	}
	return conn, js, nil
}

// complaintInterval is how often the same complaint of a server is logged: a connection that is refused tries four times a second.
const complaintInterval = time.Minute

// complaints logs what goes wrong on a connection by itself, such as refused credentials. The library calls it from one goroutine.
func (l *Log) complaints(purpose string) nats.ErrHandler {
	var last string
	var at time.Time
	return func(_ *nats.Conn, _ *nats.Subscription, err error) {
		now := l.opts.Clock.Now()
		if err.Error() == last && now.Sub(at) < complaintInterval {
			return
		}
		last, at = err.Error(), now
		l.opts.Log.Info("The connection to NATS has a problem", "connection", purpose, "reason", last)
	}
}

// Ready says whether the log can be written and read: for a readiness probe. A log that is full is ready: it still delivers, and recognises
// what it has.
func (l *Log) Ready(ctx context.Context) error {
	if l.server != nil {
		if err := l.server.healthy(); err != nil {
			return err
		}
	}
	for _, stream := range allStreams() {
		if _, err := l.js.Stream(ctx, stream); err != nil {
			return &UnavailableError{Doing: "looking at the stream " + stream, Err: err}
		}
	}
	return nil
}

// Alive says whether the log can get well by itself: for a liveness probe. An embedded server whose write to the disk failed stores nothing more
// until the process is started again.
func (l *Log) Alive() error {
	if l.server == nil {
		return nil
	}
	return l.server.alive(l.opts.Clock.Now())
}

// Close disconnects, and stops the embedded server once everything is on the disk. What was acknowledged stays.
func (l *Log) Close() (err error) {
	l.close.Do(func() {
		if l.stopKeeping != nil {
			l.stopKeeping()
			l.keeping.Wait()
		}
		if l.server != nil && l.opened && l.server.healthy() == nil {
			ctx, cancel := context.WithTimeout(context.Background(), DefaultTimeout)
			defer cancel()
			err = l.server.writeManifest(ctx, l.conn)
		}
		for _, c := range []*nats.Conn{l.readConn, l.conn} {
			if c != nil {
				c.Close()
			}
		}
		if l.server != nil {
			err = errors.Join(err, l.server.stop())
		}
	})
	return err
}
