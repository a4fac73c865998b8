package simulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// Every refusal of a malformed call, with the word that its message must hold.
func TestMalformedCalls(t *testing.T) {
	b := newBench(t)
	const good = `{"client_id":"sim-app","client_secret":"sim-secret","grant_type":"refresh_token","refresh_token":"x"}`
	for name, tc := range map[string]struct {
		method, path, contentType, body string
		status, code                    int
		says                            string
	}{
		"no final slash":      {path: "tt_user/oauth2/refresh_token", body: good, status: 404},
		"two slashes":         {path: "tt_user/oauth2//refresh_token/", body: good, status: 404},
		"unknown endpoint":    {path: "business/message/resend/", body: "{}", status: 404},
		"no endpoint":         {path: "", body: "{}", status: 404},
		"GET for POST":        {method: "GET", path: refreshEndpoint, status: 405},
		"GET of token info":   {method: "GET", path: infoEndpoint, status: 405},
		"POST for GET":        {path: getEndpoint, body: "{}", status: 405},
		"no content type":     {path: refreshEndpoint, contentType: "-", body: good, code: 40002, says: "Content-Type"},
		"form":                {path: refreshEndpoint, contentType: "application/x-www-form-urlencoded", body: good, code: 40002, says: "Content-Type"},
		"charset is fine":     {path: refreshEndpoint, contentType: "application/json; charset=utf-8", body: good, code: 40105},
		"query on a POST":     {path: refreshEndpoint + "?client_id=sim-app", body: good, code: 40002, says: "query"},
		"no JSON":             {path: refreshEndpoint, body: "client_id=x", code: 40002, says: "body"},
		"null":                {path: refreshEndpoint, body: "null", code: 40002, says: "body"},
		"array":               {path: refreshEndpoint, body: "[]", code: 40002, says: "body"},
		"two values":          {path: refreshEndpoint, body: good + "{}", code: 40002, says: "body"},
		"too large":           {path: refreshEndpoint, body: `{"x":"` + strings.Repeat("x", 2<<20) + `"}`, code: 40002, says: "body"},
		"empty":               {path: refreshEndpoint, body: "{}", code: 40002, says: "client_id: Missing"},
		"missing":             {path: refreshEndpoint, body: strings.Replace(good, `,"refresh_token":"x"`, "", 1), code: 40002, says: "refresh_token: Missing"},
		"null parameter":      {path: refreshEndpoint, body: strings.Replace(good, `"x"`, "null", 1), code: 40002, says: "refresh_token: Missing"},
		"empty parameter":     {path: refreshEndpoint, body: strings.Replace(good, `"x"`, `""`, 1), code: 40002, says: "refresh_token: Missing"},
		"number":              {path: refreshEndpoint, body: strings.Replace(good, `"x"`, `1`, 1), code: 40002, says: "refresh_token: Not a valid"},
		"list":                {path: refreshEndpoint, body: strings.Replace(good, `"x"`, `["x"]`, 1), code: 40002, says: "refresh_token: Not a valid"},
		"misspelt":            {path: refreshEndpoint, body: strings.Replace(good, "client_id", "client_key", 1), code: 40002, says: "client_key: Unknown"},
		"unknown too":         {path: refreshEndpoint, body: strings.Replace(good, "{", `{"app_id":"sim-app",`, 1), code: 40002, says: "app_id: Unknown"},
		"grant type":          {path: refreshEndpoint, body: strings.Replace(good, `"refresh_token",`, `"authorization_code",`, 1), code: 40002, says: "grant_type"},
		"wrong app":           {path: refreshEndpoint, body: strings.Replace(good, "sim-app", "other", 1), code: 40101},
		"wrong secret":        {path: refreshEndpoint, body: strings.Replace(good, "sim-secret", "other", 1), code: 40101},
		"dead refresh token":  {path: refreshEndpoint, body: good, code: 40105},
		"optional parameter":  {path: refreshEndpoint, body: strings.Replace(good, "{", `{"redirect_uri":"https://a.example/",`, 1), code: 40105},
		"query repeated":      {method: "GET", path: listEndpoint + "?app_id=a&app_id=b", code: 40002, says: "app_id: given more than once"},
		"query encoding":      {method: "GET", path: listEndpoint + "?app_id=%zz", code: 40002, says: "query"},
		"wrong query secret":  {method: "GET", path: listEndpoint + "?app_id=sim-app&secret=no&event_type=COMMENT", code: 40101},
		"unknown event type":  {method: "GET", path: listEndpoint + "?app_id=sim-app&secret=sim-secret&event_type=LIVE", code: 40002, says: "event_type"},
		"client_id for list":  {method: "GET", path: listEndpoint + "?client_id=sim-app&secret=sim-secret&event_type=COMMENT", code: 40002, says: "client_id: Unknown"},
		"no access token":     {method: "GET", path: getEndpoint + "?business_id=biz-0001", code: 40105, says: "Access-Token"},
		"token info, wrong":   {path: infoEndpoint, body: object("app_id", appID, "access_token", "act.x"), code: 40105},
		"token info, app":     {path: infoEndpoint, body: object("app_id", "x", "access_token", "act.x"), code: 40101},
		"revoke, wrong":       {path: revokeEndpoint, body: object("client_id", appID, "client_secret", appSecret, "access_token", "act.x"), code: 40105},
		"wrong code":          {path: tokenEndpoint, body: object("client_id", appID, "client_secret", appSecret, "grant_type", "authorization_code", "auth_code", "x", "redirect_uri", redirectURI), code: 40110},
		"code, grant type":    {path: tokenEndpoint, body: object("client_id", appID, "client_secret", appSecret, "grant_type", "refresh_token", "auth_code", "x", "redirect_uri", redirectURI), code: 40002, says: "grant_type"},
		"standard OAuth name": {path: tokenEndpoint, body: object("client_id", appID, "client_secret", appSecret, "grant_type", "authorization_code", "code", "x", "redirect_uri", redirectURI), code: 40002, says: "code: Unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{T: t, url: b.url}
			method, contentType := tc.method, tc.contentType
			if method == "" {
				method = http.MethodPost
			}
			if contentType == "" && method == http.MethodPost {
				contentType = "application/json"
			}
			r := b.do(b.request(method, b.url+"/open_api/v1.3/"+tc.path, strings.Trim(contentType, "-"), tc.body))
			if tc.status != 0 {
				if r.status != tc.status || r.header.Get("X-Tt-Logid") == "" {
					t.Fatalf("HTTP %d (log id %q), want %d", r.status, r.header.Get("X-Tt-Logid"), tc.status)
				}
				return
			}
			b.want(r, tc.code)
			if !strings.Contains(r.Message, tc.says) {
				t.Errorf("message %q does not say %q", r.Message, tc.says)
			}
		})
	}
}

func TestBusinessGet(t *testing.T) {
	b := newBench(t)
	token := b.sim.IssueToken(business)
	r := b.get(getEndpoint, token.AccessToken, "business_id", business, "fields", `["username","display_name","profile_image"]`)
	b.want(r, 0)
	if r.text("username") != "acme" || r.text("display_name") != "Acme Store" || !strings.Contains(r.text("profile_image"), "x-expires") {
		t.Errorf("data %v", r.Data)
	}
	if r := b.get(getEndpoint, token.AccessToken, "business_id", business, "fields", `["username"]`); len(r.Data) != 1 {
		t.Errorf("one field was asked for, data is %v", r.Data)
	}
	for name, tc := range map[string]struct {
		pairs []string
		code  int
	}{
		"no business":     {nil, 40002},
		"other business":  {[]string{"business_id", "biz-2"}, 40001},
		"fields no JSON":  {[]string{"business_id", business, "fields", "username"}, 40002},
		"fields an array": {[]string{"business_id", business, "fields", `[1]`}, 40002},
		"unknown field":   {[]string{"business_id", business, "fields", `["mail"]`}, 40002},
	} {
		if r := b.get(getEndpoint, token.AccessToken, tc.pairs...); r.Code != tc.code {
			t.Errorf("%s: code %d %q, want %d", name, r.Code, r.Message, tc.code)
		}
	}
	req := b.request(http.MethodGet, b.url+"/open_api/v1.3/"+getEndpoint+"?business_id="+business, "", "")
	req.Header.Set("Authorization", "Bearer "+token.AccessToken)
	b.want(b.do(req), 40105) // not a Bearer token
	b.want(b.get(getEndpoint, token.RefreshToken, "business_id", business), 40105)
	poor := b.sim.IssueToken(business, "message.list.read")
	if r := b.get(getEndpoint, poor.AccessToken, "business_id", business); r.Code != 40001 || !strings.Contains(r.Message, "user.info.basic") {
		t.Errorf("without the scope: code %d %q, want 40001 that names it", r.Code, r.Message)
	}
	dash := b.sim.IssueToken("-000aB")
	b.want(b.get(getEndpoint, dash.AccessToken, "business_id", "-000aB"), 0)
}

func TestDisabledAppAndRotatedSecret(t *testing.T) {
	b := newBench(t)
	token := b.sim.IssueToken(business)
	b.sim.SetAppEnabled(false)
	b.want(b.refresh(token.RefreshToken), 40101)
	b.want(b.get(getEndpoint, token.AccessToken, "business_id", business), 40101)
	if r := b.do(b.request(http.MethodGet, b.authorizeURL(), "", "")); r.status != http.StatusBadRequest || !strings.Contains(r.raw, "disabled") {
		t.Errorf("consent page of a disabled app: HTTP %d %s", r.status, r.raw)
	}
	b.sim.SetAppEnabled(true)
	b.sim.SetAppSecret("second")
	b.want(b.refresh(token.RefreshToken), 40101)
	r := b.post(refreshEndpoint, "client_id", appID, "client_secret", "second", "grant_type", "refresh_token", "refresh_token", token.RefreshToken)
	b.want(r, 0) // refusals did not spend the token
}

func TestThrottling(t *testing.T) {
	b := newBench(t, func(o *simulator.Options) { o.RateLimit = 3 })
	codes := func() string {
		var out []string
		for range 5 {
			r := b.get(listEndpoint, "", "app_id", appID, "secret", appSecret, "event_type", "COMMENT")
			b.want(r, r.Code)
			out = append(out, fmt.Sprint(r.Code))
		}
		return strings.Join(out, " ")
	}
	if got := codes(); got != "0 0 0 40100 40100" {
		t.Errorf("codes %s of a limit of three", got)
	}
	b.clock.Step(time.Second)
	if got := codes(); got != "0 0 0 40100 40100" {
		t.Errorf("codes %s a second later", got)
	}
	token := b.sim.IssueToken(business)
	b.want(b.refresh(token.RefreshToken), 40100)
	b.clock.Step(time.Second)
	b.want(b.refresh(token.RefreshToken), 0) // throttling spends nothing
}
