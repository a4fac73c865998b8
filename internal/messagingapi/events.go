package messagingapi

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
	"github.com/tiktok-operator/tiktok-operator/internal/channelapi"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/projection"
)

const (
	// heartbeat keeps proxies from taking a stream for dead, and shows this process that a client has gone.
	heartbeat = 15 * time.Second
	// streamLife is when a stream ends, so that the client's token is checked anew: clients connect again and go on where they were.
	streamLife = time.Hour
	// streamWrite bounds one write. A client that takes nothing for so long is cut off.
	streamWrite = 30 * time.Second
	// streamBatch and streamBytes bound what a stream holds in memory.
	streamBatch, streamBytes = 100, 1 << 20
	// streamRetry is when a client connects again.
	streamRetry = 3 * time.Second
	// lastEventHeader is what a client that connects again says.
	lastEventHeader = "Last-Event-Id"
)

// stream is one client's.
type stream struct {
	api      *API
	channel  *v1alpha1.TiktokChannel
	w        http.ResponseWriter
	control  *http.ResponseController
	epoch    int64
	position eventlog.Position
}

// events streams a channel's events as server-sent events, from now on or from where the client says. The log holds what the client has not taken
// yet, not this process.
func (a *API) events(w http.ResponseWriter, r *http.Request) {
	s, wake, remove, err := a.openStream(w, r)
	if err != nil {
		a.endpoint.Fail(w, r, err)
		return
	}
	defer remove()
	_ = s.control.SetReadDeadline(time.Time{}) // the server's would end the request in the middle
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // or some proxies collect events
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead || !s.write(fmt.Appendf(nil, "retry: %d\n\n", streamRetry.Milliseconds())) {
		return
	}
	beat, ends := a.opts.Clock.NewTimer(heartbeat), a.opts.Clock.Now().Add(streamLife)
	defer beat.Stop()
	for s.copy(r.Context(), ends) {
		select {
		case <-wake:
		case <-beat.C():
			if !s.write([]byte(":\n\n")) {
				return
			}
			beat.Reset(heartbeat)
		case <-a.opts.Reading.Streams.ended:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// openStream finds where a stream begins.
func (a *API) openStream(w http.ResponseWriter, r *http.Request) (s *stream, wake <-chan struct{}, remove func(), err error) {
	ctx, cancel := context.WithTimeout(r.Context(), channelapi.Timeout)
	defer cancel()
	start, err := parseStart(r.URL.Query(), r.Header)
	if err != nil {
		return nil, nil, nil, err
	}
	ch, err := a.endpoint.Channel(ctx, r)
	if err != nil {
		return nil, nil, nil, err
	}
	streams := a.opts.Reading.Streams
	// Before the newest event is looked for, lest one that comes between is missed.
	wake, remove, ok := streams.add(string(ch.UID))
	if !ok {
		return nil, nil, nil, &problem.Error{Problem: problem.Problem{
			Name: "too-many-streams", Status: http.StatusServiceUnavailable, Title: "Too many streams of events", RetryAfter: heartbeat,
			Detail: fmt.Sprintf("This replica has %d streams of events. Try again, or let the events be delivered to a sink.", maxStreams),
		}}
	}
	s = &stream{api: a, channel: ch, w: w, control: http.NewResponseController(w), epoch: streams.log.Epoch()}
	newest, err := streams.log.NewestSequence(ctx, string(ch.UID))
	if err != nil {
		remove()
		return nil, nil, nil, err
	}
	s.position = start.position(newest, s.epoch, a.opts.Clock.Now())
	return s, wake, remove, nil
}

// start is where a client wants a stream to begin.
type start struct {
	// after is the sequence that the client has seen last; 0 if it has seen none. It is of the log of an epoch; 0 if the client does not say.
	after uint64
	epoch int64
	// since is from when on events are replayed; zero means from now on.
	since time.Time
}

// parseStart reads what a client says. One that connects again repeats its first request, and what it has seen last counts.
func parseStart(values url.Values, header http.Header) (s start, err error) {
	if err := onlyParameters(values, "since"); err != nil {
		return s, err
	}
	if values.Has("since") {
		if s.since, err = time.Parse(time.RFC3339, values.Get("since")); err != nil {
			return s, problem.Invalid("since is a time such as 2026-08-01T10:00:00Z.")
		}
		if s.since.Before(time.Unix(0, 0)) { // which is as good, and bearable for the log
			s.since = time.Unix(0, 0)
		}
	}
	text := header.Get(lastEventHeader)
	if text == "" {
		return s, nil
	}
	var ok bool
	if s.after, s.epoch, ok = readPlace(text); ok {
		return s, nil
	}
	if s.after, err = strconv.ParseUint(text, 10, 64); err != nil || s.after == 0 {
		return s, problem.Invalid("The header Last-Event-ID is not the id of an event of this stream.")
	}
	s.epoch = 0
	return s, nil
}

func (s start) position(newest uint64, epoch int64, now time.Time) eventlog.Position {
	switch {
	case s.after > 0 && s.epoch != 0 && s.epoch != epoch:
		return eventlog.Position{} // the log was lost and made anew: everything in it is new
	case s.after > 0:
		return eventlog.Position{Sequence: min(s.after, newest)}
	case !s.since.IsZero() && s.since.Before(now):
		return eventlog.Position{From: s.since}
	default:
		return eventlog.Position{Sequence: newest}
	}
}

// copy writes what there is. It is false if the stream has ended, or its time has.
func (s *stream) copy(ctx context.Context, ends time.Time) bool {
	streams := s.api.opts.Reading.Streams
	for s.api.opts.Clock.Now().Before(ends) {
		events, more, err := streams.log.Events(ctx, eventlog.Query{
			ChannelUID: string(s.channel.UID), After: s.position, Limit: streamBatch, MaxBytes: streamBytes,
		})
		switch {
		case ctx.Err() != nil:
			return false
		case streams.log.Epoch() != s.epoch: // places of before mean nothing any more
			return false
		case err != nil: // it is tried again with the next heartbeat
			streams.logger.Error(err, "reading events for a stream failed; trying again", "namespace", s.channel.Namespace, "channel", s.channel.Name)
			return true
		}
		for _, e := range events {
			if text := s.format(e); text != nil && !s.write(text) {
				return false
			}
			s.position = eventlog.Position{Sequence: e.Sequence}
			select {
			case <-streams.ended:
				return false
			default:
			}
		}
		if !more || len(events) == 0 {
			return true
		}
	}
	return false
}

// format writes an event; nil for one that is not for streams.
func (s *stream) format(e *eventlog.Stored) []byte {
	if e.Sink != "" { // a replay to one sink
		return nil
	}
	event, err := projection.Event(s.channel, e)
	var text []byte
	if err == nil {
		text, err = event.JSON()
	}
	if err != nil {
		s.api.opts.Logger.Error(err, "an event cannot be shown in a stream", "namespace", s.channel.Namespace, "channel", s.channel.Name)
		return nil
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "id: %s\nevent: %s\ndata: %s\n\n", formatPlace(e.Sequence, s.epoch), event.Type, text)
	return b.Bytes()
}

// write sends at once. It is false if the client has gone, or takes nothing.
func (s *stream) write(text []byte) bool {
	_ = s.control.SetWriteDeadline(clock.RealClock{}.Now().Add(s.api.opts.Reading.Streams.patience)) // the socket's time is the machine's
	//nolint:gosec // an event stream is no page, and is not sniffed for one
	if _, err := s.w.Write(text); err != nil {
		return false
	}
	return s.control.Flush() == nil
}
