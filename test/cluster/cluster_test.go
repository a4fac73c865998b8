package cluster

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// The roles that this binary has when it is started by itself.
const (
	roleNode    = "cluster-node"
	roleReplica = "cluster-replica"
)

var events = flag.Int("events", 2400, "how many events are sent")

func TestMain(m *testing.M) {
	role := func(run func([]string) error) {
		if err := run(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case roleNode:
			role(runNode)
		case roleReplica:
			role(runReplica)
		}
	}
	os.Exit(m.Run())
}

const conversations = 60 // over all channels

// received is what the sink got: per conversation, the numbers in the order of their coming.
type received struct {
	mu       sync.Mutex
	order    map[int][]int
	distinct map[string]bool
}

func (r *received) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	id := req.Header.Get("Ce-Id")
	conversation, number, ok := parse(id)
	if !ok {
		http.Error(w, "no event of this test", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.order[conversation] = append(r.order[conversation], number)
	r.distinct[id] = true
	r.mu.Unlock()
	time.Sleep(2 * time.Millisecond) // so that deliveries are under way whenever something dies
	w.WriteHeader(http.StatusNoContent)
}

func eventID(conversation, number int) string { return fmt.Sprintf("evt_%d.%d", conversation, number) }

func parse(id string) (conversation, number int, ok bool) {
	c, n, found := strings.Cut(strings.TrimPrefix(id, "evt_"), ".")
	conversation, err1 := strconv.Atoi(c)
	number, err2 := strconv.Atoi(n)
	return conversation, number, found && err1 == nil && err2 == nil
}

func (r *received) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.distinct)
}

// check returns what is wrong, and how many deliveries were repetitions.
func (r *received) check(want int) (problems []string, repeated int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.distinct) != want {
		problems = append(problems, fmt.Sprintf("%d of %d events arrived", len(r.distinct), want))
	}
	for c, numbers := range r.order {
		next := 0
		for _, n := range numbers {
			switch {
			case n == next:
				next++
			case n > next:
				problems = append(problems, fmt.Sprintf("conversation %d: %d came before %d", c, n, next))
				next = n + 1
			default:
				repeated++
			}
		}
	}
	return problems, repeated
}

// TestReplicasOnACluster: everything that was acknowledged arrives, each conversation in its order, although a replica is killed, the server
// that leads the stream is killed and comes back, the next leader is cut off from the other servers (not from its clients) and later paused, and a
// replica is paused for longer than it may hold its channels and then goes on.
func TestReplicasOnACluster(t *testing.T) {
	nodes, net := startNodes(t)
	var urls []string
	for _, n := range nodes {
		urls = append(urls, n.url())
	}
	cluster := strings.Join(urls, ",")
	log, err := openLog(t.Context(), cluster)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	got := &received{order: map[int][]int{}, distinct: map[string]bool{}}
	sink := httptest.NewServer(got)
	t.Cleanup(sink.Close)
	replicas := []*program.Process{startReplica(t, "a", cluster, sink.URL), startReplica(t, "b", cluster, sink.URL)}

	sent := make(chan struct{})
	total := *events / conversations * conversations
	go func() {
		defer close(sent)
		send(t, log, total)
	}()
	at := func(share int, what string) {
		t.Helper()
		wait(t, 2*time.Minute, what, func() bool { return got.count() >= total*share/8 })
	}
	at(1, "deliveries by two replicas")
	replicas[0].Kill()
	startReplica(t, "c", cluster, sink.URL)
	at(3, "deliveries after a replica was killed")
	leader := leaderOf(t, nodes, cluster)
	leader.Kill()
	at(4, "deliveries without the server that led")
	leader.start()
	wait(t, time.Minute, "the server to be one of three again", leader.healthy)
	cut := leaderOf(t, nodes, cluster)
	net.cutOff(cut.number)
	var others []string
	for _, n := range nodes {
		if n != cut {
			others = append(others, n.url())
		}
	}
	wait(t, time.Minute, "another leader on the other side of the cut", func() bool { return leaderOf(t, nodes, strings.Join(others, ",")) != cut })
	at(5, "deliveries with the server back, and another one cut off from it")
	net.mend()
	wait(t, time.Minute, "the server that was cut off to have what the others have", cut.healthy)
	paused := leaderOf(t, nodes, cluster)
	paused.Signal(syscall.SIGSTOP)
	at(6, "deliveries with the network whole, and a server that hangs")
	paused.Signal(syscall.SIGCONT)
	wait(t, time.Minute, "the server that hung to have what the others have", paused.healthy)
	replicas[1].Signal(syscall.SIGSTOP)
	at(7, "deliveries while a replica is paused")
	time.Sleep(12 * time.Second) // it is the pause itself: longer than a replica may hold what it does not renew
	replicas[1].Signal(syscall.SIGCONT)
	<-sent
	wait(t, 2*time.Minute, "all events", func() bool { return got.count() >= total })
	problems, repeated := got.check(total)
	for _, p := range problems {
		t.Error(p)
	}
	t.Logf("%d events of %d conversations, %d deliveries repeated", total, conversations, repeated)
	if repeated > total/4 {
		t.Errorf("%d of %d events were repeated: that is more than what was under way when something died", repeated, total)
	}
}

// send stores the events of each conversation one after the other, each again until it is acknowledged, and the conversations side by side.
func send(t *testing.T, log *eventlog.Log, total int) {
	var all sync.WaitGroup
	for c := range conversations {
		all.Go(func() {
			for n := range total / conversations {
				r := eventlog.Record{
					ID: eventID(c, n), App: "app", BusinessID: "biz", ChannelUID: channelUID(c % channels), Conversation: fmt.Sprintf("conversation-%d", c),
					Event: "im_receive_msg", ReceivedAt: time.Now(), Body: fmt.Appendf(nil, `{"event":"im_receive_msg","user_openid":"biz",`+
						`"content":"{\"conversation_id\":\"conversation-%d\",\"message_id\":\"%d-%d\",\"type\":\"text\",\"text\":{\"body\":\"hi\"}}"}`, c, c, n),
				}
				for {
					if _, err := log.Append(t.Context(), r); err == nil {
						break
					}
					if t.Context().Err() != nil {
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
				time.Sleep(200 * time.Millisecond) // spreads the sending over the faults
			}
		})
	}
	all.Wait()
}

// leaderOf finds the node that leads the stream of events.
func leaderOf(t *testing.T, nodes []*node, cluster string) *node {
	t.Helper()
	conn, err := nats.Connect(cluster)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	var found *node
	wait(t, time.Minute, "a leader of the stream", func() bool {
		stream, err := js.Stream(t.Context(), "TIKTOK_EVENTS")
		if err != nil || stream.CachedInfo().Cluster == nil {
			return false
		}
		for _, n := range nodes {
			if n.name == stream.CachedInfo().Cluster.Leader {
				found = n
			}
		}
		return found != nil
	})
	return found
}

func wait(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	err := program.Wait(t.Context(), limit, what, func() (bool, error) { return done(), nil })
	if err != nil {
		t.Fatal(err)
	}
}
