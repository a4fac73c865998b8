package simulator

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// faultJSON is a Fault whose latency reads "1.5s".
type faultJSON struct {
	Fault
	Latency duration `json:"latency,omitempty"` // hides Fault's
}

func toJSON(f Fault) faultJSON { return faultJSON{f, duration(f.Latency)} }

func (s *Simulator) adminInject(r *http.Request) (any, error) {
	var in faultJSON
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	f := in.Fault
	f.Latency = time.Duration(in.Latency)
	if err := s.inject(f); err != nil {
		return nil, err
	}
	s.log.Info("A fault was injected", "endpoint", f.Endpoint, "times", f.Times)
	return toJSON(f), nil
}

func (s *Simulator) adminListFaults(*http.Request) (any, error) {
	list := []faultJSON{}
	for _, f := range s.Faults() {
		list = append(list, toJSON(f))
	}
	return map[string]any{"faults": list}, nil
}

func (s *Simulator) adminClearFaults(*http.Request) (any, error) {
	s.ClearFaults()
	return done(), nil
}

func (s *Simulator) adminAddBusiness(r *http.Request) (any, error) {
	var b Business
	if err := readJSON(r, &b); err != nil {
		return nil, err
	}
	if err := b.validate(); err != nil {
		return nil, err
	}
	s.AddBusiness(b)
	b, _ = s.accounts.get(b.OpenID) // with its defaults
	return b, nil
}

func (s *Simulator) adminSetConsent(r *http.Request) (any, error) {
	var c Consent
	if err := readJSON(r, &c); err != nil {
		return nil, err
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	if err := s.checkBusiness(c.Business); err != nil {
		return nil, err
	}
	s.consents.set(c)
	return c, nil
}

func (s *Simulator) adminIssue(r *http.Request) (any, error) {
	var in struct {
		Business string   `json:"business"`
		Scopes   []string `json:"scopes"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if err := validateScopes("scopes", in.Scopes); err != nil {
		return nil, err
	}
	if err := s.checkBusiness(in.Business); err != nil {
		return nil, err
	}
	b, _ := s.accounts.find(in.Business)
	return tokenData(s.IssueToken(b.OpenID, in.Scopes...)), nil
}

func (s *Simulator) adminRevoke(r *http.Request) (any, error) {
	var in struct {
		Business string `json:"business"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if in.Business == "" {
		return nil, errors.New("business is required: its open id")
	}
	if err := s.checkBusiness(in.Business); err != nil {
		return nil, err
	}
	s.RevokeBusiness(in.Business)
	s.log.Info("A business disconnected the app", "business", in.Business)
	return done(), nil
}

// checkBusiness refuses a business that is not there; "" is the first.
func (s *Simulator) checkBusiness(openID string) error {
	if _, known := s.accounts.find(openID); !known {
		return adminError{http.StatusNotFound, fmt.Errorf("there is no business %q: add it with POST /admin/businesses", openID)}
	}
	return nil
}

func (s *Simulator) adminSetApp(r *http.Request) (any, error) {
	var in struct {
		Secret         *string   `json:"secret"`
		ApprovedScopes *[]string `json:"approvedScopes"`
		Enabled        *bool     `json:"enabled"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if in.Secret != nil && *in.Secret == "" {
		return nil, errors.New("secret must not be empty")
	}
	if in.ApprovedScopes != nil {
		if err := validateScopes("approvedScopes", *in.ApprovedScopes); err != nil {
			return nil, err
		}
		s.SetApprovedScopes(*in.ApprovedScopes...)
	}
	if in.Secret != nil {
		s.SetAppSecret(*in.Secret)
	}
	if in.Enabled != nil {
		s.SetAppEnabled(*in.Enabled)
	}
	s.log.Info("The app was changed", "secretChanged", in.Secret != nil, "enabled", s.app.isEnabled())
	return done(), nil
}

func (s *Simulator) adminSetWebhook(r *http.Request) (any, error) {
	var in struct {
		EventType   string `json:"eventType"`
		CallbackURL string `json:"callbackURL"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if err := validateEventType(in.EventType); err != nil {
		return nil, fmt.Errorf("eventType %w", err)
	}
	if in.CallbackURL != "" {
		if err := validateCallback(in.CallbackURL); err != nil {
			return nil, fmt.Errorf("callbackURL %w", err)
		}
	}
	s.SetWebhook(in.EventType, in.CallbackURL)
	return in, nil
}
