package simulator

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	authorizePath = "/v2/auth/authorize"
	// maxOffered businesses are offered to choose from; others can be typed.
	maxOffered = 20
)

// authorizationRequest is what an app asks a person for, checked.
type authorizationRequest struct {
	redirect *url.URL
	// redirectURI is redirect as it was given: a code is bound to the text.
	redirectURI string
	scopes      []string
	state       string
}

// authorize shows the consent page and takes its answer, or decides at once.
func (s *Simulator) authorize(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		// HEAD too: a link preview must not use a consent up.
		w.Header().Set("Allow", "GET, POST")
		s.problem(w, http.StatusMethodNotAllowed, "This page answers GET and POST only.")
		return
	}
	a, err := s.checkAuthorization(r.URL.RawQuery)
	if err != nil {
		s.problem(w, http.StatusBadRequest, sentence(err))
		return
	}
	if missing := s.app.unapproved(a.scopes); len(missing) > 0 {
		s.deny(w, r, a, "invalid_scope", "The app is not approved for "+strings.Join(missing, ", ")+".")
		return
	}
	if r.Method == http.MethodPost {
		s.answerForm(w, r, a)
		return
	}
	c := s.consents.take()
	switch {
	case c.Error != "":
		s.deny(w, r, a, c.Error, "The person did not authorize the app.")
	case c.Mode == modeAuto:
		s.grant(w, r, a, c.Business, without(a.scopes, c.DenyScopes))
	default:
		s.consentPage(w, http.StatusOK, a, choice{business: c.Business, unticked: c.DenyScopes})
	}
}

// answerForm takes a person's answer from the consent page.
func (s *Simulator) answerForm(w http.ResponseWriter, r *http.Request, a authorizationRequest) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		s.problem(w, http.StatusBadRequest, "The form cannot be read. Open the authorization link again.")
		return
	}
	switch r.PostForm.Get("answer") {
	case "deny":
		s.deny(w, r, a, "access_denied", "The person did not authorize the app.")
		return
	case "allow":
	default:
		s.problem(w, http.StatusBadRequest, "The form has no answer: it must be allow or deny.")
		return
	}
	business := r.PostForm.Get("business")
	if typed := strings.TrimSpace(r.PostForm.Get("other")); typed != "" {
		business = typed
	}
	ticked := slices.DeleteFunc(slices.Clone(a.scopes), func(scope string) bool { return !slices.Contains(r.PostForm["scope"], scope) })
	again := choice{business: business, unticked: without(a.scopes, ticked)}
	if _, known := s.accounts.get(business); !known {
		again.problem = "There is no such business account. Choose another."
	} else if len(ticked) == 0 {
		again.problem = "Tick at least one permission, or choose Deny."
	}
	if again.problem != "" {
		s.consentPage(w, http.StatusBadRequest, a, again)
		return
	}
	s.grant(w, r, a, business, ticked)
}

// grant sends the browser back with a code. A business that grants nothing has declined.
func (s *Simulator) grant(w http.ResponseWriter, r *http.Request, a authorizationRequest, business string, scopes []string) {
	b, known := s.accounts.find(business)
	if !known {
		s.problem(w, http.StatusBadRequest, fmt.Sprintf("There is no business account %q. Add it with POST /admin/businesses.", business))
		return
	}
	granted := b.granted(scopes)
	if len(granted) == 0 {
		s.deny(w, r, a, "access_denied", "The business granted none of the permissions.")
		return
	}
	code := s.codes.add(grant{
		business: b.OpenID, redirectURI: a.redirectURI, scopes: granted, expires: s.opts.Clock.Now().Add(codeLifetime),
	})
	s.log.Info("A business authorized the app", "business", b.OpenID, "scopes", granted, "asked", len(a.scopes))
	back(w, r, a, url.Values{"code": {code}, "scopes": {strings.Join(granted, ",")}})
}

func (s *Simulator) deny(w http.ResponseWriter, r *http.Request, a authorizationRequest, code, description string) {
	s.log.Info("An authorization was refused", "error", code)
	back(w, r, a, url.Values{"error": {code}, "error_description": {description}})
}

// back sends the browser to the app, with GET whatever the method was.
func back(w http.ResponseWriter, r *http.Request, a authorizationRequest, answer url.Values) {
	answer.Set("state", a.state)
	u := *a.redirect
	u.RawQuery = answer.Encode()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
}

// checkAuthorization refuses what TikTok refuses. Parameters that it does not know are left alone, as TikTok does: its portals add some.
func (s *Simulator) checkAuthorization(rawQuery string) (authorizationRequest, error) {
	var a authorizationRequest
	q, err := url.ParseQuery(rawQuery)
	if err != nil {
		return a, errors.New("the address of this page is not encoded properly")
	}
	for _, name := range []string{"client_key", "response_type", "redirect_uri", "scope", "state", "disable_auto_auth"} {
		if len(q[name]) > 1 {
			return a, fmt.Errorf("the parameter %s is given more than once", name)
		}
		if q.Get(name) == "" && name != "disable_auto_auth" {
			return a, fmt.Errorf("the parameter %s is missing", name)
		}
	}
	switch {
	case q.Get("client_key") != s.opts.AppID:
		return a, errors.New("client_key is not an app that TikTok knows")
	case !s.app.isEnabled():
		return a, errors.New("the app is disabled: TikTok lets nobody authorize it")
	case q.Get("response_type") != "code":
		return a, errors.New("response_type must be code")
	case q.Has("disable_auto_auth") && q.Get("disable_auto_auth") != "0" && q.Get("disable_auto_auth") != "1":
		return a, errors.New("disable_auto_auth must be 0 or 1")
	}
	a.state = q.Get("state")
	a.scopes = strings.Split(q.Get("scope"), ",")
	if err := validateScopes("scope", a.scopes); err != nil {
		return a, fmt.Errorf("%w; scopes are joined by commas, without spaces", err)
	}
	a.redirectURI = q.Get("redirect_uri")
	a.redirect, err = checkRedirect(a.redirectURI)
	return a, err
}
