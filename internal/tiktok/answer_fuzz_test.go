package tiktok_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// canned answers every request with the same bytes.
type canned struct {
	status                            int
	contentType, retryAfter, location string
	body                              []byte
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	header := http.Header{"Content-Type": {c.contentType}, "Retry-After": {c.retryAfter}, "X-Tt-Logid": {c.contentType}}
	if c.location != "" {
		header.Set("Location", c.location)
	}
	return &http.Response{
		StatusCode: c.status, Request: r, Body: io.NopCloser(bytes.NewReader(c.body)), ContentLength: int64(len(c.body)), Header: header,
	}, nil
}

// FuzzAnswer: whatever comes back, a call either has what it must have, or an error that says one clear thing and no secret.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", "", []byte(`{"code":0,"message":"OK","request_id":"202608010000000102","data":{"access_token":"act.1","token_type":"Bearer",`+
		`"expires_in":86400,"refresh_token":"rft.2","refresh_token_expires_in":31536000,"open_id":"-000a1b2cD3","scope":"user.info.basic,message.list.read"}}`))
	f.Add(200, "application/json", "", []byte(`{"code":0,"message":"OK","data":{"callback_url":"https://op.example.com/webhooks/app","event_type":"DIRECT_MESSAGE"}}`))
	for _, code := range []string{"40001", "40002", "40007", "40064", "40100", "40101", "40105", "40110", "40908", "51065", "50000", "60001"} {
		f.Add(200, "application/json", "", []byte(`{"code":`+code+`,"message":"no","request_id":"202608010000000102","data":{}}`))
		f.Add(429, "application/json; charset=utf-8", "120", []byte(`{"code":`+code+`,"message":"no"}`))
	}
	f.Add(200, "application/json", "", []byte(`{"code":0,"message":"OK","request_id":"1","data":{"access_token":"a","refresh_token":"r","expires_in":86400,"scope":"x,y"}}`))
	f.Add(200, "application/json", "7", []byte(`{"code":40100,"message":"slow down"}`))
	f.Add(401, "text/html", "", []byte("<html>"))
	f.Add(200, "application/json", "", []byte(`{"code":"40105","message":"`+refresh.Reveal()+`","request_id":5}`))
	f.Add(302, "", "", []byte(`{"code":0`))
	f.Add(200, appSecret.Reveal(), "99999999999999999999", []byte(`{"code":-1,"message":{"x":[]}}`))
	f.Add(503, "", "Mon, 02 Jan 2006 15:04:05 GMT", []byte{0xff, 0xfe})
	f.Fuzz(func(t *testing.T, status int, contentType, retryAfter string, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		codes := []string{}
		client, err := tiktok.NewClient(tiktok.Config{
			AppID: appID, AppSecret: appSecret, HTTPClient: &http.Client{Transport: canned{status: status, contentType: contentType, retryAfter: retryAfter, body: body}},
			Observe: func(o tiktok.Observation) { codes = append(codes, o.Code) },
		})
		if err != nil {
			t.Fatal(err)
		}
		token, err := client.RefreshToken(context.Background(), refresh)
		if err == nil && (token.AccessToken == "" || token.RefreshToken == "" || token.ExpiresIn <= 0 || token.RefreshTokenExpiresIn <= 0) {
			t.Fatalf("half a token: %+v", token)
		}
		failures := []error{err}
		_, err = client.Webhook(context.Background(), "DIRECT_MESSAGE")
		failures = append(failures, err)
		for i, err := range failures {
			if err == nil {
				if codes[i] != "0" || status >= 300 {
					t.Fatalf("HTTP %d is a success, observed %s", status, codes[i])
				}
				continue
			}
			e := asError(t, err)
			if e.Class == "" || e.NotSent || e.HTTPStatus != status || codes[i] == "0" {
				t.Fatalf("%+v, observed %s", e, codes[i])
			}
			if (e.RetryAfter > 0) != (e.Class == tiktok.ClassRateLimited) {
				t.Fatalf("class %s, pause %s", e.Class, e.RetryAfter)
			}
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) || len([]rune(e.Message)) > 200 {
				t.Fatalf("it says %q", err)
			}
			if text := leaks(err, []string{appSecret.Reveal(), refresh.Reveal()}); text != "" && i == 0 {
				t.Fatalf("it holds a secret: %s", text)
			}
		}
	})
}
