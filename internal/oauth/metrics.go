package oauth

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// CountResults registers the metric of the authorization pages, and returns what counts a result. It has the type of Options.Observe.
func CountResults(registry prometheus.Registerer) (func(Result), error) {
	results := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tiktok_operator_authorization_requests_total", Help: "Requests to the authorization pages by result.",
	}, []string{"result"})
	for _, r := range append(Results(), ResultRedirected) {
		results.WithLabelValues(string(r)) // a counter that appears only with its first failure cannot be alerted on
	}
	if err := registry.Register(results); err != nil {
		return nil, fmt.Errorf("registering the metric of authorizations: %w", err)
	}
	return func(r Result) { results.WithLabelValues(string(r)).Inc() }, nil
}
