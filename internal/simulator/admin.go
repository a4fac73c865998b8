package simulator

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
)

// adminError is a refusal of the admin API; without one it is 400.
type adminError struct {
	status int
	error
}

type adminHandler func(r *http.Request) (any, error)

// adminRoutes is the admin API, which docs/reference/simulator.md describes.
func (s *Simulator) adminRoutes() {
	for path, methods := range map[string]map[string]adminHandler{
		"/admin/state":         {"GET": s.adminState},
		"/admin/faults":        {"GET": s.adminListFaults, "POST": s.adminInject, "DELETE": s.adminClearFaults},
		"/admin/calls":         {"GET": s.adminCalls, "DELETE": s.adminResetCalls},
		"/admin/calls/count":   {"GET": s.adminCountCalls},
		"/admin/businesses":    {"GET": s.adminListBusinesses, "POST": s.adminAddBusiness},
		"/admin/consent":       {"GET": s.adminShowConsent, "POST": s.adminSetConsent},
		"/admin/tokens":        {"POST": s.adminIssue},
		"/admin/tokens/revoke": {"POST": s.adminRevoke},
		"/admin/app":           {"PUT": s.adminSetApp},
		"/admin/webhook":       {"PUT": s.adminSetWebhook},
		"/admin/events":        {"POST": s.adminSendEvents},
		"/admin/conversations": {"GET": s.adminListConversations, "POST": s.adminSetConversation},
		"/admin/deliveries":    {"GET": s.adminDeliveries},
	} {
		s.mux.HandleFunc(path, s.adminServe(methods))
	}
	s.mux.HandleFunc("/admin/", s.adminServe(nil))
}

func (s *Simulator) adminServe(methods map[string]adminHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		status, answer := http.StatusOK, any(nil)
		handle, known := methods[r.Method]
		err := error(adminError{http.StatusNotFound, errors.New("the admin API has no such path: see docs/reference/simulator.md")})
		switch {
		case known:
			answer, err = handle(r)
		case methods != nil:
			err = adminError{http.StatusMethodNotAllowed, errors.New("this path does not answer " + r.Method)}
		}
		if err != nil {
			status = http.StatusBadRequest
			var refused adminError
			if errors.As(err, &refused) {
				status = refused.status
			}
			answer = map[string]string{"error": sentence(err)}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		_ = e.Encode(answer) // a client that left needs no answer
	}
}

// done is the answer of what has nothing to tell.
func done() map[string]bool { return map[string]bool{"done": true} }

func (s *Simulator) adminState(*http.Request) (any, error) {
	s.app.mu.RLock()
	enabled, approved := s.app.enabled, append([]string{}, s.app.approved...)
	s.app.mu.RUnlock()
	return map[string]any{
		"appID": s.opts.AppID, "enabled": enabled, "approvedScopes": approved,
		"accessTokenTTL": s.opts.AccessTokenTTL.String(), "refreshTokenTTL": s.opts.RefreshTokenTTL.String(), "rateLimit": s.opts.RateLimit,
		"consent": s.consents.peek(), "webhooks": s.webhooks.all(),
		"businesses": s.accounts.count(), "authorizations": s.authorizations.count(), "faults": len(s.Faults()),
		"calls": s.CountCalls(""), "webhooksRetrying": s.retrying(),
	}, nil
}

func (s *Simulator) adminCalls(r *http.Request) (any, error) {
	endpoint, err := s.endpointOf(r)
	if err != nil {
		return nil, err
	}
	calls := s.Calls(endpoint)
	if text := r.URL.Query().Get("limit"); text != "" {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 0 {
			return nil, errors.New("limit must be a number of calls")
		}
		calls = calls[max(0, len(calls)-limit):]
	}
	return map[string]any{"calls": calls}, nil
}

func (s *Simulator) adminCountCalls(r *http.Request) (any, error) {
	endpoint, err := s.endpointOf(r)
	if err != nil {
		return nil, err
	}
	return map[string]any{"count": s.CountCalls(endpoint)}, nil
}

// endpointOf refuses names that are not there: a misspelt one would have been called zero times.
func (s *Simulator) endpointOf(r *http.Request) (string, error) {
	name := r.URL.Query().Get("endpoint")
	if _, known := s.endpoints[name]; !known && name != "" && name != unknownEndpoint {
		return "", unknownEndpointError(name, s.endpoints)
	}
	return name, nil
}

func (s *Simulator) adminResetCalls(*http.Request) (any, error) {
	s.ResetCalls()
	return done(), nil
}

func (s *Simulator) adminListBusinesses(*http.Request) (any, error) {
	return map[string]any{"businesses": s.accounts.first(s.accounts.count())}, nil
}

func (s *Simulator) adminDeliveries(*http.Request) (any, error) {
	return map[string]any{"deliveries": s.Deliveries()}, nil
}

func (s *Simulator) adminShowConsent(*http.Request) (any, error) { return s.consents.peek(), nil }
