package fetch

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// result of an attempt at a job, as the metric's label.
type result string

const (
	// resultTurnedAway: another job of the channel is under way; to come back. It is no attempt, and not counted.
	resultTurnedAway result = "turned_away"
	// resultFetched: the conversations were read, and hold the event's message.
	resultFetched result = "fetched"
	// resultShared: the same, and it was an attempt at another job of the channel that read them.
	resultShared result = "shared"
	// resultIncomplete: they were read, but TikTok did not show all that may be new.
	resultIncomplete result = "incomplete"
	// resultNothingYet: they were read, and hold no message of the event's time that is not another event's; to be tried again.
	resultNothingYet result = "nothing_yet"
	// resultNothing: the same, given up.
	resultNothing result = "nothing"
	// resultNoToken: the channel has no token that TikTok accepts; to be tried again.
	resultNoToken result = "no_token"
	// resultRateLimited: the app has to pause; to be tried again.
	resultRateLimited result = "rate_limited"
	// resultFailed: in passing; to be tried again.
	resultFailed result = "failed"
	// resultRefused: by TikTok, and it would again; given up.
	resultRefused result = "refused"
	// resultGone: no channel, as far as this replica knows; tried again, and given up like resultExpired.
	resultGone result = "gone"
	// resultExpired: tried for as long as jobs are kept; given up.
	resultExpired result = "expired"
)

type counters struct {
	fetches  *prometheus.CounterVec
	messages prometheus.Counter
}

func newCounters(r prometheus.Registerer) (*counters, error) {
	c := &counters{
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tiktok_operator_fetches_total",
			Help: "Attempts to fetch what a webhook did not hold, by result: fetched, shared, incomplete, nothing_yet, nothing, no_token, " +
				"rate_limited, failed, refused, gone, expired.",
		}, []string{"result"}),
		messages: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tiktok_operator_fetched_messages_total",
			Help: "Messages that were fetched and stored.",
		}),
	}
	for _, r := range []result{
		resultFetched, resultShared, resultIncomplete, resultNothingYet, resultNothing, resultNoToken, resultRateLimited, resultFailed,
		resultRefused, resultGone, resultExpired,
	} {
		c.fetches.WithLabelValues(string(r)) // a counter that appears only with its first failure cannot be alerted on
	}
	if r == nil {
		return c, nil
	}
	if err := errors.Join(r.Register(c.fetches), r.Register(c.messages)); err != nil {
		return nil, fmt.Errorf("registering the metrics of fetches: %w", err)
	}
	return c, nil
}
