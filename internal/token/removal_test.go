package token_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

func TestDecideAfterARemoval(t *testing.T) {
	const removedReason = v1alpha1.ReasonAuthorizationRemoved
	removal := &token.Removal{Time: now, Reason: token.RemovalUserDisconnected}
	refusal := &token.Refusal{
		Reason: v1alpha1.ReasonRefreshTokenRefused, Message: "no", TokenDigest: token.Digest(channel, "refresh"), Generation: 3, Time: now,
	}
	for name, tc := range map[string]struct {
		change func(*token.Input)
		action token.Action
		reason string
	}{
		"not due":           {action: token.Person, reason: removedReason},
		"due":               {change: func(in *token.Input) { in.Now = now.Add(20 * time.Hour) }, action: token.Person, reason: removedReason},
		"spec changed":      {change: func(in *token.Input) { in.Generation = 9 }, action: token.Person, reason: removedReason},
		"refused too":       {change: func(in *token.Input) { in.State.Refusal = refusal }, action: token.Person, reason: removedReason},
		"app unusable":      {change: func(in *token.Input) { in.AppUsable = false }, action: token.Person, reason: removedReason},
		"suspended":         {change: func(in *token.Input) { in.Suspended = true }, action: token.Wait, reason: v1alpha1.ReasonSuspended},
		"requested":         {change: func(in *token.Input) { in.RefreshRequest = "1" }, action: token.Refresh},
		"requested, tried":  {change: func(in *token.Input) { in.RefreshRequest, in.State.HandledRequest = "1", "1" }, action: token.Person},
		"that very second":  {change: func(in *token.Input) { in.State.RemovalsFrom = now }, action: token.Person},
		"of earlier tokens": {change: func(in *token.Input) { in.State.RemovalsFrom = now.Add(time.Second) }, action: token.Wait},
	} {
		t.Run(name, func(t *testing.T) {
			in := input()
			in.State.Removal = removal
			if tc.change != nil {
				tc.change(&in)
			}
			d := token.Decide(in)
			if d.Action != tc.action || (tc.reason != "" && d.Reason != tc.reason) || d.Message == "" {
				t.Fatalf("got %s %s (%s), want %s %s", d.Action, d.Reason, d.Message, tc.action, tc.reason)
			}
		})
	}
}

func TestRemovalInWords(t *testing.T) {
	for reason, want := range map[token.RemovalReason]string{
		token.RemovalUnknown: "gave no reason", token.RemovalUserDisconnected: "disconnected the app", token.RemovalAccountDeleted: "was deleted",
		token.RemovalAgeChanged: "age", token.RemovalAccountBanned: "banned", token.RemovalDeveloperRevoked: "app's own credentials", 6: "gave no reason",
	} {
		in := input()
		in.State.Removal = &token.Removal{Time: now, Reason: reason}
		if got := token.Decide(in).Message; !strings.Contains(got, want) || !strings.Contains(got, "2026-11-23T12:00:00Z") {
			t.Errorf("reason %d: %q, want %q in it", reason, got, want)
		}
	}
}

func TestRemovalIsKeptWhileItConcernsTheTokens(t *testing.T) {
	const key = v1alpha1.AuthorizationRemovedAtAnnotation
	st := token.State{Removal: &token.Removal{Time: now, Reason: token.RemovalAccountBanned}}
	var secret corev1.Secret
	if err := st.Encode(&secret); err != nil || secret.Annotations[key] != "2026-11-23T12:00:00Z 4" {
		t.Fatalf("encoded as %v, %v", secret.Annotations, err)
	}
	if got := token.DecodeState(&secret); !reflect.DeepEqual(got, st) {
		t.Fatalf("got %+v, want %+v", got, st)
	}
	for name, memory := range map[string]token.Memory{
		"authorized later":                    st.Authorized(now.Add(time.Minute), nil),
		"authorized later, by a clock behind": st.Authorized(now.Add(-time.Minute), st.Removal),
		"imported later":                      st.Outlived(now.Add(time.Minute), nil),
		"refreshed on request":                st.Outlived(time.Time{}, st.Removal),
	} {
		again := st
		again.Memory = memory
		if err := again.Encode(&secret); err != nil || secret.Annotations[key] != "" {
			t.Errorf("%s: still %q, %v", name, secret.Annotations[key], err)
		}
		if got := token.DecodeState(&secret); got.Memory != memory {
			t.Errorf("%s: the memory became %+v", name, got.Memory)
		}
	}
	for text, want := range map[string]*token.Removal{
		"2026-11-23T12:00:00Z":        {Time: now},
		"2026-11-23T13:00:00+01:00 x": {Time: now},
		"yesterday 1":                 nil,
		"":                            nil,
	} {
		secret.Annotations[key] = text
		if got := token.DecodeState(&secret).Removal; !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}
