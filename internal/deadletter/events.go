package deadletter

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// ReplayEventsPattern is for a http.ServeMux, as the others are.
const ReplayEventsPattern = "POST /v1/namespaces/{namespace}/channels/{name}/events/replay"

const (
	// maxReplayIDs and maxReplayEvents are how many events one request replays, by id and by time.
	maxReplayIDs, maxReplayEvents = 100, 10_000
	// maxSearch is how many stored events a request looks through.
	maxSearch = 100_000
	// searchBatch and searchBytes bound one reading.
	searchBatch, searchBytes = 500, 4 << 20
)

// Replaying is the answer to a replay of stored events.
type Replaying struct {
	// Replay identifies the occasion, for the log.
	Replay string `json:"replay"`
	// Events is how many events are on their way.
	Events int `json:"events"`
}

// ReplayEvents delivers stored events anew to one sink, whether it had them or not. What is to be replayed is stored as a job before the answer.
func (a *API) ReplayEvents(w http.ResponseWriter, r *http.Request) {
	a.serve(w, r, func(ctx context.Context, ch *v1alpha1.TiktokChannel) (int, any, error) {
		s, err := parseSelection(r.URL.Query())
		if err != nil {
			return 0, nil, err
		}
		if !hasSink(ch, s.sink) {
			return 0, nil, noSink(s.sink)
		}
		sequences, err := a.find(ctx, ch, s)
		if err != nil {
			return 0, nil, err
		}
		body, err := json.Marshal(sequences)
		if err != nil {
			return 0, nil, fmt.Errorf("encoding a replay: %w", err)
		}
		occasion := rand.Text()
		if err := a.Events.AddJob(ctx, eventlog.Job{Kind: JobReplay, Record: eventlog.Record{
			ID: occasion, App: ch.Spec.AppRef.Name, ChannelUID: string(ch.UID), Sink: s.sink, Body: body,
		}}); err != nil {
			return 0, nil, err
		}
		a.Logger.Info("events are replayed", "namespace", ch.Namespace, "channel", ch.Name, "sink", s.sink, "events", len(sequences), "replay", occasion)
		return http.StatusAccepted, Replaying{Replay: occasion, Events: len(sequences)}, nil
	})
}

// selection says which events to replay, and to whom: those of ids, or all; stored from since on and before until, if these are not zero.
type selection struct {
	sink         string
	ids          []string
	since, until time.Time
}

func parseSelection(values url.Values) (selection, error) {
	s := selection{sink: values.Get("sink"), ids: values["id"]}
	for name, given := range values {
		var err error
		switch name {
		case "id":
			continue
		case "sink":
		case "since":
			s.since, err = time.Parse(time.RFC3339, given[0])
		case "until":
			s.until, err = time.Parse(time.RFC3339, given[0])
		default:
			return s, problem.Invalid(fmt.Sprintf("The parameter %q is not known: sink, id, since, until are.", name))
		}
		if err != nil {
			return s, problem.Invalid("since and until are times such as 2026-08-01T10:00:00Z.")
		}
		if len(given) > 1 {
			return s, problem.Invalid(fmt.Sprintf("The parameter %s is given more than once; only id may be.", name))
		}
	}
	slices.Sort(s.ids)
	s.ids = slices.Compact(s.ids)
	switch {
	case s.sink == "":
		return s, problem.Invalid("Say to which sink: sink=… with its name. A replay goes to one.")
	case len(s.ids) == 0 && s.since.IsZero():
		return s, problem.Invalid("Say which events: id=…, which may be repeated, or since, with or without until.")
	case len(s.ids) > maxReplayIDs:
		return s, problem.Invalid(fmt.Sprintf("One request may name %d ids, not %d.", maxReplayIDs, len(s.ids)))
	case !s.until.IsZero() && !s.since.Before(s.until):
		return s, problem.Invalid("since must be before until.")
	}
	return s, nil
}

// find gives the places of the chosen events in the log, in their order. Earlier replays, which are in the log too, are not chosen.
func (a *API) find(ctx context.Context, ch *v1alpha1.TiktokChannel, s selection) ([]uint64, error) {
	wanted := map[string]bool{}
	for _, id := range s.ids {
		wanted[id] = true
	}
	var found []uint64
	searched := 0
	err := a.each(ctx, string(ch.UID), s, func(e *eventlog.Stored) (more bool, err error) {
		if searched++; searched > maxSearch {
			return false, tooMany(fmt.Sprintf("More than %d events would have to be looked through for the ids: say with since and until when they were "+
				"stored, or narrow these. The event's time is shortly before. Nothing was replayed.", maxSearch))
		}
		if e.Replay != "" || (len(s.ids) > 0 && !wanted[e.ID]) {
			return true, nil
		}
		if len(found) == maxReplayEvents {
			return false, tooMany(fmt.Sprintf("More than %d events were stored in that time: narrow since and until. Nothing was replayed.", maxReplayEvents))
		}
		found = append(found, e.Sequence)
		delete(wanted, e.ID)
		return len(s.ids) == 0 || len(wanted) > 0, nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(wanted) > 0:
		unknown := slices.DeleteFunc(s.ids, func(id string) bool { return !wanted[id] })
		return nil, problem.NotFound(fmt.Sprintf("The channel has no stored event of these ids, in the time that was asked for, or not any more "+
			"(--event-log-max-age): %.1000s. Nothing was replayed.", strings.Join(unknown, ", ")))
	case len(found) == 0:
		return nil, problem.NotFound("The channel has no stored event of that time, or not any more (--event-log-max-age). Nothing was replayed.")
	}
	return found, nil
}

// each reads the channel's events of a selection's time until a visitor has seen enough, or all that were there when it began.
func (a *API) each(ctx context.Context, channelUID string, s selection, visit func(*eventlog.Stored) (more bool, err error)) error {
	q := eventlog.Query{
		ChannelUID: channelUID, After: eventlog.Position{From: s.since}, Limit: searchBatch, MaxBytes: searchBytes, Certain: true,
	}
	for {
		events, more, err := a.Events.Events(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range events {
			if !s.until.IsZero() && !e.StoredAt.Before(s.until) { // they are in the order of their being stored
				return nil
			}
			if goOn, err := visit(e); err != nil || !goOn {
				return err
			}
			q.After = eventlog.Position{Sequence: e.Sequence}
		}
		if !more || len(events) == 0 {
			return nil
		}
	}
}

func tooMany(detail string) error {
	return &problem.Error{Problem: problem.Problem{Name: "too-many-events", Status: http.StatusBadRequest, Title: "Too many events", Detail: detail}}
}
