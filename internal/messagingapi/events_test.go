package messagingapi_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/messagingapi"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound/outboundtest"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// shown is an event of a stream; a comment has only its text.
type shown struct{ id, event, data, comment string }

// listening is a client of a stream. What it is told comes out of the channel, which is closed at the end.
type listening struct {
	*reading
	told chan shown
	stop func()
}

// listen begins a stream.
func (s *reading) listen(query, lastEvent string) *listening {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.url+"/events"+query, nil)
	if err != nil {
		s.Fatal(err)
	}
	if lastEvent != "" {
		r.Header.Set("Last-Event-ID", lastEvent)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		s.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	l := &listening{reading: s, told: make(chan shown, 1000), stop: func() { _ = resp.Body.Close() }}
	go func() {
		defer close(l.told)
		var e shown
		lines := bufio.NewScanner(resp.Body)
		for lines.Buffer(nil, 4<<20); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case lines.Text() == "" && e != shown{}:
				l.told <- e
				e = shown{}
			case lines.Text() == "" || name == "retry":
			case name == "":
				e.comment = "beat" + value
			case name == "id":
				e.id = value
			case name == "event":
				e.event = value
			case name == "data" && e.data == "":
				e.data = value
			default:
				e.comment = "unexpected: " + lines.Text()
			}
		}
	}()
	return l
}

func (l *listening) next() shown {
	l.Helper()
	select {
	case e, ok := <-l.told:
		if !ok {
			l.Fatal("the stream has ended")
		}
		return e
	case <-time.After(30 * time.Second):
		l.Fatal("no event within half a minute")
	}
	return shown{}
}

// nextInTime lets the time pass, a step at a time, until there is something: the stream may not have set its timer at the first one.
func (l *listening) nextInTime(step time.Duration) shown {
	l.Helper()
	for range 100 {
		l.Clock.Step(step)
		select {
		case e := <-l.told:
			return e
		case <-time.After(300 * time.Millisecond):
		}
	}
	l.Fatal("nothing came, however much time passed")
	return shown{}
}

// wantText waits for the message of a user.
func (l *listening) wantText(text string) (id string) {
	l.Helper()
	e := l.next()
	var got struct {
		SpecVersion, ID, Source, Type, Subject, Time, DataContentType string
		Data                                                          cloudevent.Data
	}
	if err := json.Unmarshal([]byte(e.data), &got); err != nil {
		l.Fatalf("%+v: %v", e, err)
	}
	if e.event != cloudevent.TypeMessageReceived || got.Type != e.event || got.SpecVersion != "1.0" || got.ID == "" || got.Subject != l.Conversation ||
		got.Source != cloudevent.Source("shop", "main") || got.Time == "" || got.DataContentType != "application/json" || e.comment != "" {
		l.Fatalf("got %+v", e)
	}
	if got.Data.Text == nil || *got.Data.Text != text {
		l.Fatalf("got %s, want the text %q", e.data, text)
	}
	return e.id
}

// wantEnd waits for the end of the stream.
func (l *listening) wantEnd() {
	l.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case e, ok := <-l.told:
			if !ok {
				return
			}
			if e.event != "" {
				l.Fatalf("got %+v, want the end", e)
			}
		case <-deadline:
			l.Fatal("no end within half a minute")
		}
	}
}

func TestEventsAreStreamedAndResumed(t *testing.T) {
	s := serveReading(t)
	live := s.listen("", "")
	s.tell(simulator.Event{Text: "one\r\ndata: two\n\nid: 7"})
	first := live.wantText("one\r\ndata: two\n\nid: 7")
	live.stop()
	s.tell(simulator.Event{Text: "missed"})
	// A replay to one sink is not for streams.
	stored, err := s.Log.Next(s.Context(), outboundtest.UID, eventlog.Position{})
	if err != nil {
		t.Fatal(err)
	}
	replay := stored.Record
	replay.Sink, replay.Replay = "crm", "occasion"
	if _, err := s.Log.Append(s.Context(), replay); err != nil {
		t.Fatal(err)
	}
	s.tell(simulator.Event{Text: "missed, too"})

	again := s.listen("?since=2999-01-01T00:00:00Z", first) // what was seen last counts
	again.wantText("missed")
	again.wantText("missed, too")
	s.tell(simulator.Event{Text: "live"})
	again.wantText("live")

	sequence, _, _ := strings.Cut(first, "-")
	s.listen("", sequence).wantText("missed")
	s.Clock.Step(time.Hour) // past the time of the log, which is the machine's
	whole := s.listen("?since="+url.QueryEscape(stored.StoredAt.Format(time.RFC3339Nano)), "")
	for _, text := range []string{"hello", "is anybody there?", "one\r\ndata: two\n\nid: 7", "missed", "missed, too", "live"} {
		whole.wantText(text)
	}
	s.listen("?since=0001-01-01T00:00:00Z", "").wantText("hello")
	s.listen("", sequence+"-1").wantText("hello") // of a log that is lost: everything is new
	// Nothing comes to those that begin now, or where nothing is yet.
	now := []*listening{s.listen("", ""), s.listen("?since=2999-01-01T00:00:00Z", ""), s.listen("", "18446744073709551615")}
	s.tell(simulator.Event{Text: "news"})
	for _, l := range now {
		l.wantText("news")
	}
}

func TestStreamsLiveLongerThanShortCallsAndEnd(t *testing.T) {
	s := serveWithin(t, outboundtest.New(t), shortly)
	l := s.listen("", "")
	for range 3 { // in all, longer than the server lets other requests take
		if e := l.nextInTime(15 * time.Second); e.comment != "beat" {
			t.Fatalf("got %+v", e)
		}
		<-time.After(shortly * 3 / 4) // the limits of the server are real time
	}
	s.Eventually("the heartbeat's timer", s.Clock.HasWaiters)
	s.Clock.Step(time.Hour)
	l.wantEnd()

	l = s.listen("", "")
	r := s.do(http.MethodHead, s.url+"/events", "", nil, nil)
	if r.status != http.StatusOK || len(r.body) > 0 {
		t.Errorf("HEAD: %d %q", r.status, r.body)
	}
	s.end()
	l.wantEnd()
}

func TestStreamsAreLimited(t *testing.T) {
	s := serveReading(t)
	var last *listening
	for range 100 {
		last = s.listen("", "")
	}
	r := s.get("/events")
	if name, _ := r.problem(t); r.status != http.StatusServiceUnavailable || name != "too-many-streams" || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s %v", r.status, r.body, r.header)
	}
	last.stop()
	s.Eventually("room for another", func() bool {
		r := s.do(http.MethodHead, s.url+"/events", "", nil, nil)
		return r.status == http.StatusOK
	})
}

// A client that takes nothing is cut off, and holds neither a place nor the events that it did not take. It goes on where it was.
func TestAClientThatTakesNothingIsCutOff(t *testing.T) {
	s := serveReading(t, func(streams *messagingapi.Streams) { streams.SetPatience(300 * time.Millisecond) })
	const count, size = 200, 64 << 10 // more than sockets hold
	text := strings.Repeat("x", size)
	for i := range count {
		_, err := s.Log.Append(t.Context(), eventlog.Record{
			ID: fmt.Sprint("large-", i), App: "app", BusinessID: outboundtest.Shop, ChannelUID: outboundtest.UID, Event: "im_large",
			ReceivedAt: s.Clock.Now(), Body: fmt.Appendf(nil, `{"event":"im_large","create_time":1,"content":"{\"n\":%d,\"text\":%q}"}`, i, text),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 99 {
		s.listen("", "")
	}
	address, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", address.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET %s/events?since=1970-01-01T00:00:00Z HTTP/1.1\r\nHost: a\r\n\r\n", address.Path); err != nil {
		t.Fatal(err)
	}
	begin := make([]byte, len("HTTP/1.1 200 OK"))
	if _, err := io.ReadFull(conn, begin); err != nil || string(begin) != "HTTP/1.1 200 OK" {
		t.Fatalf("it begins with %q, %v", begin, err)
	}
	s.Eventually("the place of the slow client", func() bool {
		return s.do(http.MethodHead, s.url+"/events", "", nil, nil).status == http.StatusOK
	})
	taken, err := io.ReadAll(conn)
	if err == nil && len(taken) > count*size/2 {
		t.Errorf("it took %d bytes of events", len(taken))
	}
	ids := regexp.MustCompile(`(?m)^id: (.+)$`).FindAllSubmatch(taken, -1)
	if len(ids) == 0 || len(ids) >= count {
		t.Fatalf("%d events reached the slow client, want some of %d", len(ids), count)
	}
	l := s.listen("", string(ids[len(ids)-2][1])) // the last one may be in part
	if e := l.next(); e.id != string(ids[len(ids)-1][1]) {
		t.Errorf("it goes on with %s, want %s", e.id, ids[len(ids)-1][1])
	}
}

func TestStreamsThatAreNotUnderstood(t *testing.T) {
	s := serveReading(t)
	for _, query := range []string{"?since=yesterday", "?since=", "?from=1", "?since=2026-08-01T10:00:00Z&since=2026-08-01T10:00:00Z"} {
		s.wantProblem("/events"+query, http.StatusBadRequest, "invalid-request")
	}
	for _, id := range []string{"0", "x", "-1", "1.5", "18446744073709551616", "1-", "1-!", strings.Repeat("9", 5000), fmt.Sprint("1-", strings.Repeat("z", 99))} {
		r := s.do(http.MethodGet, s.url+"/events", "", nil, map[string]string{"Last-Event-ID": id})
		if name, _ := r.problem(t); r.status != http.StatusBadRequest || name != "invalid-request" {
			t.Errorf("%.20q: %d %s", id, r.status, r.body)
		}
	}
}
