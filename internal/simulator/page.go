package simulator

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

//go:embed pages.html
var pagesHTML string

var pages = template.Must(template.New("").Parse(pagesHTML))

// choice is what the consent page proposes, or what a person chose before.
type choice struct {
	business string
	unticked []string
	problem  string
}

type offeredBusiness struct {
	Business
	Chosen bool
}

type offeredScope struct {
	Name   string
	Ticked bool
}

func (s *Simulator) consentPage(w http.ResponseWriter, status int, a authorizationRequest, c choice) {
	businesses := s.accounts.first(maxOffered)
	if b, known := s.accounts.find(c.business); known {
		c.business = b.OpenID
		if !slices.ContainsFunc(businesses, func(o Business) bool { return o.OpenID == b.OpenID }) {
			businesses = append([]Business{b}, businesses...)
		}
	}
	data := struct {
		Host, Action, Problem string
		Businesses            []offeredBusiness
		More                  int
		Scopes                []offeredScope
	}{
		Host: a.redirect.Host, Problem: c.problem, More: s.accounts.count() - len(businesses),
		Action: authorizePath + "?" + url.Values{
			"client_key": {s.opts.AppID}, "response_type": {"code"}, "redirect_uri": {a.redirectURI},
			"scope": {strings.Join(a.scopes, ",")}, "state": {a.state},
		}.Encode(),
	}
	for _, b := range businesses {
		data.Businesses = append(data.Businesses, offeredBusiness{b, b.OpenID == c.business})
	}
	for _, scope := range a.scopes {
		data.Scopes = append(data.Scopes, offeredScope{scope, !slices.Contains(c.unticked, scope)})
	}
	s.page(w, status, "consent", data)
}

// problem is a page for the person who cannot get further.
func (s *Simulator) problem(w http.ResponseWriter, status int, text string) {
	s.page(w, status, "problem", text)
}

func (s *Simulator) index(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		s.problem(w, http.StatusMethodNotAllowed, "This page answers GET and HEAD only.")
		return
	}
	s.page(w, http.StatusOK, "index", s.opts.AppID)
}

func (s *Simulator) page(w http.ResponseWriter, status int, name string, data any) {
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, name, data); err != nil {
		s.log.Error(err, "A page could not be made", "page", name)
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address holds the state
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", policy(name))
	w.WriteHeader(status)
	_, _ = body.WriteTo(w) // a browser that left needs no page
}

// policy is the Content-Security-Policy of a page. Browsers hold the redirects that follow a form to form-action too: those of the consent
// page lead to the app, and on to wherever the app leads.
func policy(name string) string {
	const all = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
	if name == "consent" {
		return all
	}
	return all + "; form-action 'self'"
}

// icon is none: a browser asks for it unbidden, and logs an error where the answer is one.
func icon(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// sentence is an error for a person: it begins with a capital, unless with a name such as redirect_uri or openID, and ends in a full stop.
func sentence(err error) string {
	text := err.Error()
	if first, _, _ := strings.Cut(text, " "); !strings.Contains(first, "_") && first == strings.ToLower(first) {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return text + "."
}
