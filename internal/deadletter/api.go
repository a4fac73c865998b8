package deadletter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
	"github.com/tiktok-operator/tiktok-operator/internal/channelapi"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// Subresource of tiktokchannels that callers must be allowed to list, get or create (replay).
const Subresource = "events"

// Patterns for a http.ServeMux. The names of their wildcards are what package access reads.
const (
	ListPattern      = "GET /v1/namespaces/{namespace}/channels/{name}/dead-letters"
	GetPattern       = "GET /v1/namespaces/{namespace}/channels/{name}/dead-letters/{id}"
	ReplayPattern    = "POST /v1/namespaces/{namespace}/channels/{name}/dead-letters/{id}/replay"
	ReplayAllPattern = "POST /v1/namespaces/{namespace}/channels/{name}/dead-letters/replay"
)

const (
	defaultLimit = 100
	maxLimit     = 500
	// replayLimit is how many one request replays at most; the answer says whether there are more.
	replayLimit = 1000
)

// Log is what the API needs of the event log. *eventlog.Log is one.
type Log interface {
	DeadLetters(ctx context.Context, q eventlog.DeadLetterQuery) (letters []eventlog.DeadLetter, more bool, err error)
	DeadLetter(ctx context.Context, id uint64) (*eventlog.DeadLetter, error)
	Revive(ctx context.Context, d eventlog.DeadLetter) error
	Events(ctx context.Context, q eventlog.Query) (events []*eventlog.Stored, more bool, err error)
	AddJob(ctx context.Context, j eventlog.Job) error
}

// API serves the patterns.
type API struct {
	// Reader reads channels.
	Reader client.Reader
	Events Log
	Logger logr.Logger
}

// Routes are the calls.
func (a *API) Routes() []channelapi.Route {
	route := func(pattern, verb string, handle http.HandlerFunc) channelapi.Route {
		return channelapi.Route{Pattern: pattern, Verb: verb, Subresource: Subresource, Handle: handle}
	}
	return []channelapi.Route{
		route(ListPattern, "list", a.List), route(GetPattern, "get", a.Get), route(ReplayPattern, "create", a.Replay),
		route(ReplayAllPattern, "create", a.ReplayAll), route(ReplayEventsPattern, "create", a.ReplayEvents),
	}
}

// List answers with the dead letters that a query chooses, oldest first.
func (a *API) List(w http.ResponseWriter, r *http.Request) {
	a.serve(w, r, func(ctx context.Context, ch *v1alpha1.TiktokChannel) (int, any, error) {
		q, err := parse(r.URL.Query(), defaultLimit, maxLimit)
		if err != nil {
			return 0, nil, err
		}
		letters, more, err := a.choose(ctx, ch, q)
		if err != nil {
			return 0, nil, err
		}
		list := List{Items: []Letter{}}
		for _, l := range letters {
			list.Items = append(list.Items, summarize(ch, l))
		}
		if more && len(letters) > 0 {
			list.Continue = strconv.FormatUint(letters[len(letters)-1].ID, 10)
		}
		return http.StatusOK, list, nil
	})
}

// Get answers with one dead letter and its event.
func (a *API) Get(w http.ResponseWriter, r *http.Request) {
	a.serve(w, r, func(ctx context.Context, ch *v1alpha1.TiktokChannel) (int, any, error) {
		letter, err := a.letter(ctx, ch, r.PathValue("id"))
		if err != nil {
			return 0, nil, err
		}
		full := summarize(ch, *letter)
		full.Event.Data = full.data
		return http.StatusOK, full, nil
	})
}

// Replay delivers one dead letter's event anew, to its sink or to another one of the channel.
func (a *API) Replay(w http.ResponseWriter, r *http.Request) {
	a.serve(w, r, func(ctx context.Context, ch *v1alpha1.TiktokChannel) (int, any, error) {
		to, err := parseReplay(ch, r.URL.Query())
		if err != nil {
			return 0, nil, err
		}
		letter, err := a.letter(ctx, ch, r.PathValue("id"))
		if err != nil {
			return 0, nil, err
		}
		if letter.Sink, err = to.takes(*letter); err != nil {
			return 0, nil, err
		}
		return http.StatusAccepted, Replayed{Replayed: 1}, a.Events.Revive(ctx, *letter)
	})
}

// ReplayAll delivers the events of all dead letters anew that a query chooses, oldest first, each to its sink or all to another one of the
// channel. Letters stay whose sink is gone, or does not want their type.
func (a *API) ReplayAll(w http.ResponseWriter, r *http.Request) {
	a.serve(w, r, func(ctx context.Context, ch *v1alpha1.TiktokChannel) (int, any, error) {
		values := r.URL.Query()
		to, err := takeTo(ch, values)
		if err != nil {
			return 0, nil, err
		}
		q, err := parse(values, replayLimit, replayLimit)
		if err != nil {
			return 0, nil, err
		}
		if q.Sink == "" && q.From.IsZero() && q.until.IsZero() && !q.all {
			return 0, nil, problem.Invalid("Say which: sink, since or until; or all=true for every dead letter of the channel.")
		}
		if _, ok := to.of(q.Sink); q.Sink != "" && !ok {
			return 0, nil, sinkGone(q.Sink)
		}
		skipped := 0
		q.wanted = func(l eventlog.DeadLetter) bool {
			_, err := to.takes(l)
			if err != nil {
				skipped++
			}
			return err == nil
		}
		letters, more, err := a.choose(ctx, ch, q)
		if err != nil {
			return 0, nil, err
		}
		for i, l := range letters {
			l.Sink, _ = to.of(l.Sink)
			if err := a.Events.Revive(ctx, l); err != nil {
				a.Logger.Error(err, "replaying dead letters stopped", "namespace", ch.Namespace, "channel", ch.Name, "replayed", i)
				return 0, nil, err
			}
		}
		return http.StatusAccepted, Replayed{Replayed: len(letters), Skipped: skipped, More: more}, nil
	})
}

// serve finds the channel, does the work, and answers.
func (a *API) serve(w http.ResponseWriter, r *http.Request, work channelapi.Work) {
	channelapi.Endpoint{Reader: a.Reader, Logger: a.Logger}.Serve(w, r, work)
}

// letter reads one of the channel's dead letters.
func (a *API) letter(ctx context.Context, ch *v1alpha1.TiktokChannel, text string) (*eventlog.DeadLetter, error) {
	gone := problem.NotFound("There is no such dead letter of this channel: it was replayed, is older than 30 days, or never was.")
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		return nil, gone
	}
	letter, err := a.Events.DeadLetter(ctx, id)
	if err != nil {
		return nil, err
	}
	if letter == nil || letter.ChannelUID != string(ch.UID) {
		return nil, gone
	}
	return letter, nil
}

// query chooses dead letters.
type query struct {
	eventlog.DeadLetterQuery
	until time.Time
	limit int
	all   bool
	// wanted says whether a letter is chosen; nil chooses all.
	wanted func(eventlog.DeadLetter) bool
}

// parse reads a query that chooses so many letters if it does not say how many, and so many at most.
func parse(values url.Values, usual, most int) (query, error) {
	q := query{DeadLetterQuery: eventlog.DeadLetterQuery{Sink: values.Get("sink")}, limit: usual, all: values.Get("all") == "true"}
	for name := range values {
		var err error
		switch text := values.Get(name); name {
		case "sink", "all":
		case "since":
			q.From, err = time.Parse(time.RFC3339, text)
		case "until":
			q.until, err = time.Parse(time.RFC3339, text)
		case "continue":
			q.After, err = strconv.ParseUint(text, 10, 64)
		case "limit":
			if q.limit, err = strconv.Atoi(text); err == nil && (q.limit < 1 || q.limit > most) {
				err = errors.New("out of range")
			}
		default:
			return q, problem.Invalid(fmt.Sprintf("The parameter %q is not known: sink, since, until, limit, continue, all are.", name))
		}
		if err != nil {
			return q, problem.Invalid(fmt.Sprintf("The parameter %s is not understood: since and until are times such as 2026-08-01T10:00:00Z, "+
				"limit a number from 1 to %d, continue what an earlier answer said.", name, most))
		}
	}
	return q, nil
}

// choose reads the dead letters that a query chooses, up to its limit.
func (a *API) choose(ctx context.Context, ch *v1alpha1.TiktokChannel, q query) (chosen []eventlog.DeadLetter, more bool, err error) {
	q.ChannelUID, q.Limit = string(ch.UID), min(q.limit, maxLimit)
	if q.wanted != nil {
		q.Limit = maxLimit // what is passed over does not count, and may be much
	}
	for {
		letters, more, err := a.Events.DeadLetters(ctx, q.DeadLetterQuery)
		if err != nil {
			return nil, false, err
		}
		for i, l := range letters {
			if !q.until.IsZero() && !l.DiedAt.Before(q.until) { // they are in the order of their dying
				return chosen, false, nil
			}
			q.After = l.ID
			if q.wanted == nil || q.wanted(l) {
				chosen = append(chosen, l)
			}
			if len(chosen) == q.limit {
				return chosen, more || i+1 < len(letters), nil
			}
		}
		if !more || len(letters) == 0 {
			return chosen, more, nil
		}
	}
}
