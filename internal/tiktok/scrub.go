package tiktok

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// maxMessage bounds foreign text in an error, in characters.
const maxMessage = 200

// bound makes foreign text fit for an error: no secrets, no control characters, no more than maxMessage characters.
func bound(text string, secrets []Secret) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = scrub(text, secrets)
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)), " ")
	if runes := []rune(text); len(runes) > maxMessage {
		return string(runes[:maxMessage-1]) + "…"
	}
	return text
}

// scrub takes secrets out of text, also as URLs, JSON and HTML would write them.
func scrub(text string, secrets []Secret) string {
	var forms []string
	for _, s := range secrets {
		if s == "" {
			continue
		}
		plain := s.Reveal()
		forms = append(forms, plain, url.QueryEscape(plain), url.PathEscape(plain), html.EscapeString(plain))
		for _, quoted := range []string{strconv.Quote(plain), strconv.QuoteToASCII(plain)} {
			forms = append(forms, strings.Trim(quoted, `"`))
		}
		if quoted, err := json.Marshal(plain); err == nil {
			forms = append(forms, strings.Trim(string(quoted), `"`))
		}
	}
	// Longest first: a secret that begins with another one must not leave its rest behind.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(forms))
	for _, form := range forms {
		pairs = append(pairs, form, redacted)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// withoutQueries cuts the query off whatever URL a network error quotes.
func withoutQueries(text string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("?" + redacted)
		end := strings.IndexFunc(after, func(r rune) bool { return unicode.IsSpace(r) || r == '"' || r == '\'' })
		if end < 0 {
			return b.String()
		}
		text = after[end:]
	}
}

// withoutURL unwraps the errors of package net/http, which begin with the method and the URL.
func withoutURL(err error) error {
	var urlError *url.Error
	for errors.As(err, &urlError) && urlError.Err != nil {
		err = urlError.Err
	}
	return err
}

// contextError keeps a context's error visible to errors.Is, and nothing else: the errors of package net/http quote URLs.
func contextError(err error) error {
	for _, known := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}
