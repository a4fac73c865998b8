package tiktok_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const html = "<html><body><h1>Bad gateway</h1></body></html>"

// TestFailedAnswers: what each failure that has an answer looks like to the caller, whichever call it was.
func TestFailedAnswers(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		handler    http.HandlerFunc
		class      tiktok.Class
		code       int
		observed   string
		retryAfter time.Duration
		message    string
	}{
		"a refused token": {
			handler: answerJSON(`{"code":40105,"message":"Access token is incorrect or has been revoked","request_id":"req-1","data":{}}`),
			class:   tiktok.ClassTokenRefused, code: 40105, observed: "40105", message: "Access token is incorrect or has been revoked",
		},
		"throttled": {
			handler: answerJSON(`{"code":40100,"message":"Too many requests"}`),
			class:   tiktok.ClassRateLimited, code: 40100, observed: "40100", retryAfter: 5 * time.Minute, message: "Too many requests",
		},
		"throttled, with seconds": {
			handler: header("Retry-After", "7", answerJSON(`{"code":40100}`)),
			class:   tiktok.ClassRateLimited, code: 40100, observed: "40100", retryAfter: 7 * time.Second,
		},
		"throttled, with a date": {
			handler: header("Retry-After", now.Add(90*time.Second).Format(http.TimeFormat), answer(429, "text/html", html)),
			class:   tiktok.ClassRateLimited, observed: "http_429", retryAfter: 90 * time.Second, message: "not TikTok's",
		},
		"throttled, with a date that is past": {
			handler: header("Retry-After", now.Add(-time.Hour).Format(http.TimeFormat), answerJSON(`{"code":40100}`)),
			class:   tiktok.ClassRateLimited, code: 40100, observed: "40100", retryAfter: 5 * time.Minute,
		},
		"throttled, for ever": {
			handler: header("Retry-After", "99999999999", answerJSON(`{"code":40100}`)),
			class:   tiktok.ClassRateLimited, code: 40100, observed: "40100", retryAfter: 24 * time.Hour,
		},
		"throttled, with nonsense": {
			handler: header("Retry-After", "soon", answerJSON(`{"code":40100}`)),
			class:   tiktok.ClassRateLimited, code: 40100, observed: "40100", retryAfter: 5 * time.Minute,
		},
		"a pause that nobody asked for": {
			handler: header("Retry-After", "7", answerJSON(`{"code":40002}`)),
			class:   tiktok.ClassPermanent, code: 40002, observed: "40002",
		},
		"a code as a string":   {handler: answerJSON(`{"code":"40101","message":"no"}`), class: tiktok.ClassAppCredentials, code: 40101, observed: "40101"},
		"a code as a float":    {handler: answerJSON(`{"code":4.0110e4}`), class: tiktok.ClassCodeRefused, code: 40110, observed: "40110"},
		"an unknown code":      {handler: answerJSON(`{"code":47123,"message":"new"}`), class: tiktok.ClassPermanent, code: 47123, observed: "47123", message: "new"},
		"odd words":            {handler: answerJSON(`{"code":51065,"message":["x"],"request_id":12345678901234567890}`), class: tiktok.ClassTransient, code: 51065, observed: "51065"},
		"a code with HTTP 502": {handler: answer(502, "application/json", `{"code":40105}`), class: tiktok.ClassTokenRefused, code: 40105, observed: "40105"},

		"success with HTTP 401":   {handler: answer(401, "application/json", `{"code":0}`), class: tiktok.ClassTokenRefused, observed: "http_401"},
		"success with HTTP 500":   {handler: answer(500, "application/json", `{"code":0}`), class: tiktok.ClassTransient, observed: "http_500"},
		"HTTP 401 of TikTok":      {handler: answer(401, "text/plain", "no"), class: tiktok.ClassTokenRefused, observed: "http_401"},
		"HTTP 403 of TikTok":      {handler: answer(403, "text/plain", ""), class: tiktok.ClassScopeMissing, observed: "http_403", message: "empty"},
		"HTTP 401 of a proxy":     {handler: proxy(401, html), class: tiktok.ClassMalformed, observed: "malformed", message: "text/html"},
		"HTTP 403 of a proxy":     {handler: proxy(403, html), class: tiktok.ClassMalformed, observed: "malformed"},
		"HTTP 404 of a proxy":     {handler: proxy(404, ""), class: tiktok.ClassMalformed, observed: "malformed", message: "empty"},
		"HTTP 502 with HTML":      {handler: proxy(502, html), class: tiktok.ClassTransient, observed: "http_502", message: "text/html"},
		"HTTP 503 with nothing":   {handler: proxy(503, ""), class: tiktok.ClassTransient, observed: "http_503"},
		"HTTP 429 of a proxy":     {handler: proxy(429, html), class: tiktok.ClassRateLimited, observed: "http_429", retryAfter: 5 * time.Minute},
		"HTML with HTTP 200":      {handler: proxy(200, html), class: tiktok.ClassMalformed, observed: "malformed", message: "text/html"},
		"nothing":                 {handler: proxy(200, ""), class: tiktok.ClassMalformed, observed: "malformed", message: "empty"},
		"spaces":                  {handler: proxy(200, " \n "), class: tiktok.ClassMalformed, observed: "malformed", message: "empty"},
		"no content":              {handler: proxy(204, ""), class: tiktok.ClassMalformed, observed: "malformed"},
		"half the JSON":           {handler: answerJSON(`{"code":0,"message":"OK","data":{"access_tok`), class: tiktok.ClassMalformed, observed: "malformed"},
		"more after the JSON":     {handler: answerJSON(`{"code":0,"data":{}}{"code":0}`), class: tiktok.ClassMalformed, observed: "malformed"},
		"JSON without a code":     {handler: answerJSON(`{"status":"ok"}`), class: tiktok.ClassMalformed, observed: "malformed", message: "without a code"},
		"a code of null":          {handler: answerJSON(`{"code":null}`), class: tiktok.ClassMalformed, observed: "malformed"},
		"a code that is empty":    {handler: answerJSON(`{"code":""}`), class: tiktok.ClassMalformed, observed: "malformed"},
		"a code that is a word":   {handler: answerJSON(`{"code":"OK"}`), class: tiktok.ClassMalformed, observed: "malformed"},
		"a code that is a truth":  {handler: answerJSON(`{"code":false}`), class: tiktok.ClassMalformed, observed: "malformed"},
		"a code below one":        {handler: answerJSON(`{"code":0.4}`), class: tiktok.ClassMalformed, observed: "malformed"},
		"a code beyond all codes": {handler: answerJSON(`{"code":18446744073709551616}`), class: tiktok.ClassMalformed, observed: "malformed"},
		"null":                    {handler: answerJSON(`null`), class: tiktok.ClassMalformed, observed: "malformed"},
		"a list":                  {handler: answerJSON(`[{"code":0}]`), class: tiktok.ClassMalformed, observed: "malformed"},
		"more than 4 MiB":         {handler: answerJSON(`{"code":0,"data":{},"x":"` + strings.Repeat("x", 4<<20) + `"}`), class: tiktok.ClassMalformed, observed: "malformed", message: "longer"},
		"less than announced": {
			handler: header("Content-Length", "400", answerJSON(`{"code":0,"message":"OK","data":{}}`)),
			class:   tiktok.ClassMalformed, observed: "malformed", message: "broke off",
		},
		"less than announced, with HTTP 503": {
			handler: header("Content-Length", "400", answer(503, "application/json", `{"code":0`)),
			class:   tiktok.ClassTransient, observed: "http_503", message: "broke off",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := serve(t, tt.handler)
			var observed []tiktok.Observation
			client := newClient(t, server.URL, func(c *tiktok.Config) {
				c.Clock = clocktesting.NewFakePassiveClock(now)
				c.Observe = func(o tiktok.Observation) { observed = append(observed, o) }
			})
			for endpoint, call := range calls {
				observed = nil
				err := call(soon(t), client)
				e := asError(t, err)
				if e.Class != tt.class || e.Code != tt.code || e.RetryAfter != tt.retryAfter || e.NotSent || e.Endpoint != endpoint {
					t.Errorf("%s: %+v, want class %s, code %d, pause %s", endpoint, e, tt.class, tt.code, tt.retryAfter)
				}
				if !strings.Contains(e.Message, tt.message) || !strings.Contains(err.Error(), tt.message) || !strings.Contains(err.Error(), endpoint) {
					t.Errorf("%s: %q, want it to name the endpoint and %q", endpoint, err, tt.message)
				}
				if len(observed) != 1 || observed[0].Code != tt.observed || observed[0].Endpoint != endpoint {
					t.Errorf("%s: observed %+v, want %s", endpoint, observed, tt.observed)
				}
			}
		})
	}
}

// TestAnswersAreBounded: more than a MiB is read only of the calls that list messages.
func TestAnswersAreBounded(t *testing.T) {
	server := serve(t, answerJSON(`{"code":0,"data":{"access_token":"a","refresh_token":"r"},"x":"`+strings.Repeat("x", 1<<20)+`"}`))
	client := newClient(t, server.URL)
	for endpoint, call := range calls {
		err := call(soon(t), client)
		if list := endpoint == "business/message/conversation/list/" || endpoint == "business/message/content/list/"; list != (err == nil) {
			t.Errorf("%s: %v", endpoint, err)
		} else if err != nil && !strings.Contains(err.Error(), "longer than 1 MiB") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

// header adds a header to an answer.
func header(name, value string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(name, value)
		next(w, r)
	}
}

// proxy is an answer of somebody in between: HTML, and none of TikTok's headers.
func proxy(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}
