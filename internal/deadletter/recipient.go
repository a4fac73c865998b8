package deadletter

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// toParam names a sink of the channel that gets the events in place of their own.
const toParam = "to"

// recipient says to which sink of a channel dead letters go.
type recipient struct {
	ch *v1alpha1.TiktokChannel
	// instead of each letter's own; "" means that.
	instead string
}

// of says who gets the letters of a sink. It fails if there is no such sink: nobody would ever deliver the event.
func (r recipient) of(sink string) (name string, ok bool) {
	if r.instead != "" {
		return r.instead, true
	}
	return sink, hasSink(r.ch, sink)
}

// takes says who gets a letter. The error is a problem: the sink is gone, or does not want the event's type, and would never get it.
func (r recipient) takes(l eventlog.DeadLetter) (name string, err error) {
	name, ok := r.of(l.Sink)
	at := slices.IndexFunc(r.ch.Spec.Sinks, func(s v1alpha1.Sink) bool { return s.Name == name })
	if !ok || at < 0 {
		return "", sinkGone(l.Sink)
	}
	if t := summarize(r.ch, l).Event.Type; !r.ch.Spec.Sinks[at].Wants(t) {
		return "", typeNotWanted(name, t)
	}
	return name, nil
}

// takeTo reads the recipient of a replay, and takes it out of the parameters.
func takeTo(ch *v1alpha1.TiktokChannel, values url.Values) (recipient, error) {
	given, name := values[toParam], values.Get(toParam)
	delete(values, toParam)
	switch {
	case len(given) == 0:
		return recipient{ch: ch}, nil
	case len(given) > 1:
		return recipient{}, problem.Invalid("The parameter to is given more than once: a replay goes to one sink.")
	case !hasSink(ch, name):
		return recipient{}, noSink(name)
	}
	return recipient{ch, name}, nil
}

// parseReplay reads the parameters of the replay of one letter.
func parseReplay(ch *v1alpha1.TiktokChannel, values url.Values) (recipient, error) {
	to, err := takeTo(ch, values)
	for name := range values {
		return recipient{}, problem.Invalid(fmt.Sprintf("The parameter %q is not known: to is.", name))
	}
	return to, err
}

func hasSink(ch *v1alpha1.TiktokChannel, name string) bool {
	return slices.ContainsFunc(ch.Spec.Sinks, func(s v1alpha1.Sink) bool { return s.Name == name })
}

func noSink(name string) error {
	return problem.NotFound(fmt.Sprintf("The channel has no sink %q.", name))
}

func typeNotWanted(sink, eventType string) error {
	return &problem.Error{Problem: problem.Problem{
		Name: "type-not-wanted", Status: http.StatusConflict, Title: "The sink does not want the event",
		Detail: fmt.Sprintf("The sink %q has a filter (types) without %s, and would not get the event. Nothing was replayed. Name another sink of the "+
			"channel with to=…, or change the filter.", sink, eventType),
	}}
}

func sinkGone(name string) error {
	return &problem.Error{Problem: problem.Problem{
		Name: "sink-gone", Status: http.StatusConflict, Title: "The sink is gone",
		Detail: fmt.Sprintf("The channel has no sink %q any more, which is where the event would go. Nothing was replayed. Name another sink of the "+
			"channel with to=…, or give the channel a sink of that name.", name),
	}}
}
