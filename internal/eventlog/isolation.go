package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"k8s.io/utils/clock"
)

const (
	// probeEvery is how often each connection to an external server is tried, and probeTimeout how long its answer may take.
	probeEvery   = 3 * time.Second
	probeTimeout = 2 * time.Second
	// leaveAfter so many tries in vain, another server is asked. An election takes less.
	leaveAfter = 3
)

// leaveIsolated has a connection go to another server of the cluster, until the context ends, if its own still answers but does not reach the
// servers that lead the streams: in a network that is cut between the servers, the library would stay where nothing can be stored. Where no server
// can help, each is tried in turn, which does no harm.
func (l *Log) leaveIsolated(ctx context.Context, purpose string, conn *nats.Conn) {
	ticker := clock.RealClock{}.NewTicker(probeEvery) // the server's time is the machine's
	defer ticker.Stop()
	failed := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		if !conn.IsConnected() { // it is looking for a server
			failed = 0
			continue
		}
		err := probe(ctx, conn)
		if failed++; !unreached(err) {
			failed = 0
		}
		if failed < leaveAfter || ctx.Err() != nil {
			continue
		}
		failed = 0
		l.opts.Log.Info("the NATS server does not reach those that lead the event log; another one is asked", "connection", purpose,
			"server", conn.ConnectedServerName(), "reason", err.Error())
		if err := conn.ForceReconnect(); err != nil {
			return // it is closed
		}
	}
}

// probe asks for a message that is not there. The leader of the stream answers, or a server that knows of no leader.
func probe(ctx context.Context, conn *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	m, err := conn.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+eventsStream, []byte(`{"last_by_subj":"`+eventsPrefix+`probe.probe"}`))
	if err != nil {
		return err
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil || answer.Error == nil {
		return nil // the leader's, whatever it says
	}
	return answer.Error
}

// unreached says whether an error means that the stream's leader did not answer. Whatever else it says, it did.
func unreached(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code == http.StatusServiceUnavailable
	}
	return err != nil
}
