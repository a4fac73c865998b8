package oauth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
)

var style = regexp.MustCompile(`(?s)<style>(.*?)</style>`)

// checkPage checks what every page must have: what a screen reader needs, nothing from elsewhere, and headers that keep its address private.
func checkPage(t testing.TB, p page) {
	t.Helper()
	for _, once := range []string{
		"<!DOCTYPE html>", `<html lang="en">`, "<title>", "<main>", "<h1>", `name="viewport"`, "<h2>What happened</h2>", "<h2>What it means</h2>", "<h2>What to do</h2>",
	} {
		if strings.Count(p.body, once) != 1 {
			t.Errorf("%s has %q %d times", p.result, once, strings.Count(p.body, once))
		}
	}
	for _, never := range []string{"<script", "<img", "<link", "<iframe", "http://", "https://", "@import", "url(", "eyJ", "ZgotmplZ", "<p></p>", "<li></li>", "<dd></dd>"} {
		if strings.Contains(p.body, never) {
			t.Errorf("%s has %q:\n%s", p.result, never, p.body)
		}
	}
	for name, value := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Content-Language": "en",
	} {
		if got := p.header.Get(name); got != value {
			t.Errorf("%s: %s is %q", p.result, name, got)
		}
	}
	checkHeaders(t, p)
	m := style.FindStringSubmatch(p.body)
	if m == nil {
		t.Fatalf("%s has no style", p.result)
	}
	sum := sha256.Sum256([]byte(m[1]))
	if !strings.Contains(p.header.Get("Content-Security-Policy"), "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("%s: the policy does not allow the page's own style", p.result)
	}
}

func checkHeaders(t testing.TB, p page) {
	t.Helper()
	for name, value := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
	} {
		if got := p.header.Get(name); got != value {
			t.Errorf("%s: %s is %q", p.result, name, got)
		}
	}
	for _, directive := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"} {
		if !strings.Contains(p.header.Get("Content-Security-Policy"), directive) {
			t.Errorf("%s: the policy lacks %s", p.result, directive)
		}
	}
}
