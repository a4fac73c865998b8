package oauth

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// pages renders outcomes. There is one layout, without scripts and without anything from elsewhere.
type pages struct {
	layout *template.Template
	policy string
}

func newPages() (*pages, error) {
	layout, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("reading the page layout: %w", err)
	}
	style := sha256.Sum256([]byte(pageCSS))
	return &pages{
		layout: layout,
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(style[:]) + "'; " +
			"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}, nil
}

// write answers with an outcome. The headers keep codes, states and links in the address bar from going anywhere else.
func (p *pages) write(w http.ResponseWriter, o *outcome) error {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", p.policy)
	if o.location != "" {
		h.Set("Location", o.location)
		w.WriteHeader(o.redirect)
		return nil
	}
	var body bytes.Buffer
	err := p.layout.Execute(&body, struct {
		Result             Result
		Title, What, Means string
		Next               []string
		Facts              []fact
		Style              template.CSS
	}{o.result, o.title, o.what, o.means, o.next, o.facts, template.CSS(pageCSS)}) //nolint:gosec // a constant of this package
	if err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return fmt.Errorf("rendering the page: %w", err)
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Content-Language", "en")
	switch {
	case o.result == ResultMethodNotAllowed:
		h.Set("Allow", http.MethodGet)
	case o.retryAfter > 0:
		h.Set("Retry-After", strconv.Itoa(int(o.retryAfter.Seconds())))
	}
	w.WriteHeader(o.result.Status())
	_, _ = w.Write(body.Bytes())
	return nil
}
