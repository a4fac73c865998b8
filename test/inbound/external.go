package inbound

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tiktok-operator/tiktok-operator/internal/ownership"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// external is a NATS that keeps the events of several replicas: one server, or a cluster.
type external struct {
	servers []*natsServer
	network *network // of several
}

// openNATS starts so many servers. What comes back is to be closed, also after an error.
func openNATS(ctx context.Context, binary, dir string, count int) (*external, error) {
	e := &external{network: newNetwork()}
	ports, err := program.Ports(3 * count)
	if err != nil {
		return e, err
	}
	for i := range count {
		e.servers = append(e.servers, newNATS(binary, fmt.Sprintf("nats-%d", i), dir, ports[i], ports[count+i]))
	}
	for i, n := range e.servers {
		if count > 1 {
			if n.cluster, err = e.routes(ctx, i, ports[2*count:]); err != nil {
				return e, err
			}
		}
		if err := n.begin(); err != nil {
			return e, err
		}
	}
	for _, n := range e.servers {
		if err := n.healthy(ctx); err != nil {
			return e, err
		}
	}
	return e, nil
}

// routes are the flags by which a server finds the others, which listen at these ports.
func (e *external) routes(ctx context.Context, from int, ports []int) ([]string, error) {
	var routes []string
	for to, port := range ports {
		if to == from {
			continue
		}
		address, err := e.network.link(ctx, from, to, port)
		if err != nil {
			return nil, err
		}
		routes = append(routes, address)
	}
	return []string{fmt.Sprintf("-cluster-port=%d", ports[from]), "-routes=" + strings.Join(routes, ",")}, nil
}

// number of a server in the network.
func (e *external) number(n *natsServer) int { return slices.Index(e.servers, n) }

// urls as --nats-url takes them, but for those of one server.
func (e *external) urls(without *natsServer) string {
	var urls []string
	for _, n := range e.servers {
		if n != without {
			urls = append(urls, n.url())
		}
	}
	return strings.Join(urls, ",")
}

func (e *external) close() {
	for _, n := range e.servers {
		if n.Process != nil {
			n.Kill()
		}
	}
	e.network.close()
}

// divided waits until so many replicas, and no others, share what is delivered, evenly: while they divide it anew, each accident is another one.
func (e *external) divided(ctx context.Context, replicas int) error {
	conn, err := nats.Connect(e.urls(nil))
	if err != nil {
		return fmt.Errorf("reading who serves what: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("reading who serves what: %w", err)
	}
	return program.Wait(ctx, startLimit, "the replicas to share their work", func() (bool, error) {
		shares, err := e.shares(ctx, js)
		if err != nil || len(shares) != replicas {
			return false, nil //nolint:nilerr // not yet
		}
		total, most := 0, 0
		for _, share := range shares {
			total, most = total+share, max(most, share)
		}
		return total == ownership.Shards && most == (total+replicas-1)/replicas, nil
	})
}

// shares are how many shards each replica holds.
func (e *external) shares(ctx context.Context, js jetstream.JetStream) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	bucket, err := js.KeyValue(ctx, "tiktok-owners")
	if err != nil {
		return nil, err
	}
	watcher, err := bucket.Watch(ctx, "shard.*", jetstream.IgnoreDeletes())
	if err != nil {
		return nil, err
	}
	defer func() { _ = watcher.Stop() }()
	shares := map[string]int{}
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case entry := <-watcher.Updates():
			if entry == nil { // the end of what there was
				return shares, nil
			}
			shares[string(entry.Value())]++
		}
	}
}

// leader is the server that leads the stream of events, as the servers that are not left out say.
func (e *external) leader(ctx context.Context, leftOut *natsServer) (leader *natsServer, err error) {
	conn, err := nats.Connect(e.urls(leftOut), nats.Timeout(5*time.Second))
	if err != nil {
		return nil, fmt.Errorf("asking for the leader: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("asking for the leader: %w", err)
	}
	err = program.Wait(ctx, startLimit, "a leader of the stream", func() (bool, error) {
		stream, err := js.Stream(ctx, eventsStream)
		if err != nil || stream.CachedInfo().Cluster == nil {
			return false, nil //nolint:nilerr // there is none yet
		}
		for _, n := range e.servers {
			if n != leftOut && n.name == stream.CachedInfo().Cluster.Leader {
				leader = n
			}
		}
		return leader != nil, nil
	})
	return leader, err
}

// eventsStream is the stream of events' name, and appending how a replica calls the connection by which it stores.
const eventsStream, appending = "TIKTOK_EVENTS", "tiktok-operator append"

// usedLeader is a leader to which a replica is connected, so that its loss troubles both the stream and a client. Where it is none, it is asked
// to step down.
func (e *external) usedLeader(ctx context.Context) (leader *natsServer, err error) {
	err = program.Wait(ctx, startLimit, "a leader of the stream that a replica is connected to", func() (bool, error) {
		if leader, err = e.leader(ctx, nil); err != nil {
			return false, err
		}
		used, err := leader.used(ctx)
		if err != nil || used {
			return used, err
		}
		return false, e.stepDown()
	})
	return leader, err
}

func (e *external) stepDown() error {
	conn, err := nats.Connect(e.urls(nil))
	if err != nil {
		return fmt.Errorf("asking a leader to step down: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Request("$JS.API.STREAM.LEADER.STEPDOWN."+eventsStream, nil, 5*time.Second); err != nil {
		return fmt.Errorf("asking a leader to step down: %w", err)
	}
	return nil
}

// used says whether a replica stores by way of this server.
func (n *natsServer) used(ctx context.Context) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.monitored("connz"), http.NoBody)
	if err != nil {
		return false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, fmt.Errorf("reading the connections of %s: %w", n.name, err)
	}
	defer resp.Body.Close()
	var answer struct {
		Connections []struct{ Name string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return false, fmt.Errorf("reading the connections of %s: %w", n.name, err)
	}
	for _, c := range answer.Connections {
		if c.Name == appending {
			return true, nil
		}
	}
	return false, nil
}
