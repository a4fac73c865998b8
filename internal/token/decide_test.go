package token_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const channel = "shop/acme"

// fresh was obtained an hour ago and lives a day: due 8 h before its end.
func fresh() token.Tokens {
	return token.Tokens{
		AccessToken: "access", RefreshToken: "refresh", BusinessID: "biz", Scopes: []string{"a", "b"},
		ObtainedAt: now.Add(-time.Hour), AccessTokenExpiresAt: now.Add(23 * time.Hour), RefreshTokenExpiresAt: now.Add(300 * 24 * time.Hour),
	}
}

func input() token.Input {
	return token.Input{
		Now: now, Tokens: fresh(), Channel: channel, UID: "uid", Generation: 3, RequiredScopes: []string{"a"}, AppUsable: true,
	}
}

// Each row is a case of "a refresh has more cases than it seems".
func TestDecide(t *testing.T) {
	refusal := func(tok tiktok.Secret, generation int64) *token.Refusal {
		return &token.Refusal{
			Reason: v1alpha1.ReasonRefreshTokenRefused, Message: "no", TokenDigest: token.Digest(channel, tok), Generation: generation, Time: now,
		}
	}
	failure := func(next time.Time, generation int64) *token.Failures {
		return &token.Failures{Count: 2, NextTime: next, LastTime: now, Reason: v1alpha1.ReasonRefreshFailing, Message: "5xx", Generation: generation}
	}
	for name, tc := range map[string]struct {
		change func(*token.Input)
		action token.Action
		reason string
		at     time.Time
	}{
		"not due":                          {action: token.Wait, reason: v1alpha1.ReasonTokenFresh},
		"due":                              {change: func(in *token.Input) { in.Now = now.Add(16 * time.Hour) }, action: token.Refresh},
		"past due":                         {change: func(in *token.Input) { in.Now = now.Add(40 * time.Hour) }, action: token.Refresh},
		"clock behind the stored times":    {change: func(in *token.Input) { in.Now = now.Add(-48 * time.Hour) }, action: token.Wait},
		"imported, nothing known":          {change: func(in *token.Input) { in.Tokens = token.Tokens{RefreshToken: "r"} }, action: token.Refresh},
		"expiry unreadable":                {change: func(in *token.Input) { in.Tokens.AccessTokenExpiresAt = time.Time{} }, action: token.Refresh},
		"suspended, due":                   {change: func(in *token.Input) { in.Now, in.Suspended = now.Add(40*time.Hour), true }, action: token.Wait, reason: v1alpha1.ReasonSuspended},
		"suspended, requested":             {change: func(in *token.Input) { in.RefreshRequest, in.Suspended = "1", true }, action: token.Wait, reason: v1alpha1.ReasonSuspended},
		"unsuspended after expiry":         {change: func(in *token.Input) { in.Now = now.Add(90 * time.Hour) }, action: token.Refresh},
		"refresh token expired":            {change: func(in *token.Input) { in.Now = now.Add(301 * 24 * time.Hour) }, action: token.Person, reason: v1alpha1.ReasonRefreshTokenExpired},
		"refresh token expired, requested": {change: func(in *token.Input) { in.Now, in.RefreshRequest = now.Add(301*24*time.Hour), "1" }, action: token.Refresh},
		"unconfirmed":                      {change: func(in *token.Input) { in.Unconfirmed = true }, action: token.Refresh, reason: v1alpha1.ReasonBusinessUnconfirmed},
		"unconfirmed, suspended":           {change: func(in *token.Input) { in.Unconfirmed, in.Suspended = true, true }, action: token.Wait, reason: v1alpha1.ReasonSuspended},
		"unconfirmed, app not usable":      {change: func(in *token.Input) { in.Unconfirmed, in.AppUsable = true, false }, action: token.Wait, reason: v1alpha1.ReasonAppNotReady},
		"unconfirmed, backing off":         {change: func(in *token.Input) { in.Unconfirmed, in.State.Failures = true, failure(now.Add(time.Minute), 3) }, action: token.Wait, reason: v1alpha1.ReasonRefreshFailing},
		"unconfirmed, refused":             {change: func(in *token.Input) { in.Unconfirmed, in.State.Refusal = true, refusal("refresh", 3) }, action: token.Person},
		"scope missing":                    {change: func(in *token.Input) { in.RequiredScopes = []string{"a", "z"} }, action: token.Person, reason: v1alpha1.ReasonScopesMissing},
		"scopes unknown":                   {change: func(in *token.Input) { in.RequiredScopes, in.Tokens.Scopes = []string{"z"}, nil }, action: token.Wait},
		"refused":                          {change: func(in *token.Input) { in.State.Refusal = refusal("refresh", 3) }, action: token.Person, reason: v1alpha1.ReasonRefreshTokenRefused},
		"refused, due":                     {change: func(in *token.Input) { in.State.Refusal, in.Now = refusal("refresh", 3), now.Add(20*time.Hour) }, action: token.Person},
		"refused, then another token":      {change: func(in *token.Input) { in.State.Refusal, in.Now = refusal("older", 3), now.Add(20*time.Hour) }, action: token.Refresh},
		"refused, then the spec changed":   {change: func(in *token.Input) { in.State.Refusal, in.Now = refusal("refresh", 2), now.Add(20*time.Hour) }, action: token.Refresh},
		"refused, then requested":          {change: func(in *token.Input) { in.State.Refusal, in.RefreshRequest = refusal("refresh", 3), "1" }, action: token.Refresh},
		"refused, request answered already": {change: func(in *token.Input) {
			in.State.Refusal, in.RefreshRequest, in.State.HandledRequest = refusal("refresh", 3), "1", "1"
		}, action: token.Person},
		"requested":                         {change: func(in *token.Input) { in.RefreshRequest = "1" }, action: token.Refresh},
		"requested, answered in the Secret": {change: func(in *token.Input) { in.RefreshRequest, in.State.HandledRequest = "1", "1" }, action: token.Wait},
		"backing off":                       {change: func(in *token.Input) { in.State.Failures = failure(now.Add(time.Minute), 3) }, action: token.Wait, reason: v1alpha1.ReasonRefreshFailing, at: now.Add(time.Minute)},
		"backing off, requested":            {change: func(in *token.Input) { in.State.Failures, in.RefreshRequest = failure(now.Add(time.Minute), 3), "1" }, action: token.Refresh},
		"back-off over, not on schedule":    {change: func(in *token.Input) { in.State.Failures = failure(now, 3) }, action: token.Refresh},
		"backing off, then the spec changed": {change: func(in *token.Input) {
			in.State.Failures, in.Now = failure(now.Add(41*time.Hour), 2), now.Add(40*time.Hour)
		}, action: token.Refresh},
		"back-off absurdly far (clock skew)":   {change: func(in *token.Input) { in.State.Failures = failure(now.Add(100*24*time.Hour), 3) }, action: token.Refresh},
		"app unusable, due":                    {change: func(in *token.Input) { in.Now, in.AppUsable = now.Add(40*time.Hour), false }, action: token.Wait, reason: v1alpha1.ReasonAppNotReady},
		"app unusable, requested":              {change: func(in *token.Input) { in.RefreshRequest, in.AppUsable = "1", false }, action: token.Wait, reason: v1alpha1.ReasonAppNotReady},
		"app unusable, refused before":         {change: func(in *token.Input) { in.State.Refusal, in.AppUsable = refusal("refresh", 3), false }, action: token.Person},
		"refreshBefore longer than the life":   {change: func(in *token.Input) { in.RefreshBefore = 100 * time.Hour }, action: token.Wait},
		"refreshBefore longer, two thirds due": {change: func(in *token.Input) { in.RefreshBefore, in.Now = 100*time.Hour, now.Add(8*time.Hour) }, action: token.Refresh},
	} {
		t.Run(name, func(t *testing.T) {
			in := input()
			if tc.change != nil {
				tc.change(&in)
			}
			d := token.Decide(in)
			if d.Action != tc.action || (tc.reason != "" && d.Reason != tc.reason) {
				t.Fatalf("got %s %s (%s), want %s %s", d.Action, d.Reason, d.Message, tc.action, tc.reason)
			}
			if !tc.at.IsZero() && !d.At.Equal(tc.at) {
				t.Errorf("at %s, want %s", d.At, tc.at)
			}
			if d.Message == "" || strings.Contains(d.Message, "refresh-") {
				t.Errorf("message %q", d.Message)
			}
		})
	}
}

func TestRefreshAtSpreads(t *testing.T) {
	tokens := fresh()
	earliest, latest := tokens.AccessTokenExpiresAt, time.Time{}
	buckets := map[int64]int{}
	const n = 10_000
	for i := range n {
		at := token.RefreshAt(tokens, 0, strings.Repeat("0", i%7)+time.Duration(i).String())
		if at.Before(earliest) {
			earliest = at
		}
		if at.After(latest) {
			latest = at
		}
		buckets[at.Unix()/60]++
	}
	due := tokens.AccessTokenExpiresAt.Add(-8 * time.Hour)
	if latest.After(due) || earliest.Before(due.Add(-48*time.Minute)) {
		t.Fatalf("spread over %s to %s, want within a tenth of the margin before %s", earliest, latest, due)
	}
	for minute, count := range buckets {
		if count > 3*n/48 {
			t.Errorf("%d of %d channels fall due in one minute (%d)", count, n, minute)
		}
	}
	if a, b := token.RefreshAt(tokens, 0, "x"), token.RefreshAt(tokens, 0, "x"); !a.Equal(b) {
		t.Errorf("a channel's time is not its own: %s and %s", a, b)
	}
}

func TestMargin(t *testing.T) {
	for name, tc := range map[string]struct{ lifetime, wanted, want time.Duration }{
		"a third by default":        {24 * time.Hour, 0, 8 * time.Hour},
		"floor":                     {10 * time.Minute, 0, 5 * time.Minute},
		"floor would eat the token": {time.Minute, 0, 40 * time.Second},
		"as wanted":                 {24 * time.Hour, time.Hour, time.Hour},
		"longer than the life":      {24 * time.Hour, 100 * time.Hour, 16 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			if got := token.Margin(tc.lifetime, tc.wanted); got != tc.want {
				t.Fatalf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	last := time.Duration(0)
	for n := int32(1); n < 40; n++ {
		d := token.Backoff(n, 0)
		if d < last || d < 5*time.Second || d > 10*time.Minute {
			t.Fatalf("failure %d waits %s after %s", n, d, last)
		}
		if jittered := token.Backoff(n, 0.999); jittered < d || jittered > 10*time.Minute {
			t.Fatalf("failure %d: jitter takes %s to %s", n, d, jittered)
		}
		last = d
	}
	if last != 8*time.Minute {
		t.Fatalf("ends at %s, want 8m, and up to 10m with jitter", last)
	}
}
