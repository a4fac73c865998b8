package business_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/business"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// cluster is what sessions are made from.
type cluster struct {
	snap       *tokenstore.Snapshot
	err        error
	reads      int
	allowed    bool
	allowedErr error
}

func (c *cluster) GetLive(context.Context, *v1alpha1.TiktokChannel) (*tokenstore.Snapshot, error) {
	c.reads++
	return c.snap, c.err
}

func (c *cluster) Client(_ context.Context, app *v1alpha1.TiktokApp) (*tiktok.Client, error) {
	return tiktok.NewClient(tiktok.Config{AppID: app.Spec.AppID, AppSecret: "app-secret"})
}

const secret = "the-access-token"

var now = time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)

func channel() *v1alpha1.TiktokChannel {
	return &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", UID: "uid-1"},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: "app"}},
		Status:     v1alpha1.TiktokChannelStatus{BusinessID: "biz"},
	}
}

func tokens(accessToken tiktok.Secret, businessID string, expires time.Time) *tokenstore.Snapshot {
	return &tokenstore.Snapshot{Tokens: token.Tokens{AccessToken: accessToken, BusinessID: businessID, AccessTokenExpiresAt: expires}}
}

func newSessions(t *testing.T, c *cluster, clock *clocktesting.FakeClock, apps ...string) *business.Sessions {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	b := fake.NewClientBuilder().WithScheme(scheme)
	for _, name := range apps {
		b = b.WithObjects(&v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.TiktokAppSpec{AppID: "app-id"}})
	}
	s, err := business.New(business.Options{
		Reader: b.Build(), Apps: c, Tokens: c, Clock: clock,
		Allowed: func(context.Context, *v1alpha1.TiktokApp, string) (bool, error) { return c.allowed, c.allowedErr },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestASessionReadsTheTokenNowAndThen(t *testing.T) {
	c, clock := &cluster{snap: tokens(secret, "biz", now.Add(time.Hour)), allowed: true}, clocktesting.NewFakeClock(now)
	s := newSessions(t, c, clock, "app")
	want := func(accessToken tiktok.Secret, reads int) {
		t.Helper()
		got, err := s.Session(t.Context(), channel())
		if err != nil || got.AccessToken != accessToken || got.BusinessID != "biz" || got.App.Name != "app" || got.Client == nil {
			t.Fatalf("got %+v, %v", got, err)
		}
		if c.reads != reads {
			t.Fatalf("the Secret was read %d times, want %d", c.reads, reads)
		}
	}
	want(secret, 1)
	want(secret, 1)
	c.snap = tokens("another", "biz", now.Add(20*time.Second))
	clock.Step(11 * time.Second)
	want("another", 2)
	c.snap = tokens("third", "biz", time.Time{}) // whose end is not known
	clock.Step(9 * time.Second)                  // the other's end
	want("third", 3)
	c.snap = tokens("fourth", "", now.Add(time.Hour))
	s.Forget("uid-2")
	want("third", 3)
	s.Forget("uid-1")
	want("fourth", 4)

	moved := channel()
	moved.Status.BusinessID = "other"
	c.snap = tokens("fifth", "other", now.Add(time.Hour))
	if got, err := s.Session(t.Context(), moved); err != nil || got.AccessToken != "fifth" || got.BusinessID != "other" {
		t.Errorf("the token of one business is used for another: %+v, %v", got, err)
	}
}

func TestNoSessionWithoutAUsableToken(t *testing.T) {
	broken := errors.New("the API server is away")
	good := tokens(secret, "biz", now.Add(time.Hour))
	for name, test := range map[string]struct {
		c      cluster
		change func(*v1alpha1.TiktokChannel)
		says   string
		err    error
	}{
		"no Secret":            {c: cluster{allowed: true}, says: "no access token"},
		"no token":             {c: cluster{allowed: true, snap: tokens("", "biz", time.Time{})}, says: "no access token"},
		"expired":              {c: cluster{allowed: true, snap: tokens(secret, "biz", now)}, says: "expired"},
		"of another business":  {c: cluster{allowed: true, snap: tokens(secret, "other", time.Time{})}, says: "not confirmed"},
		"not its own":          {c: cluster{allowed: true, err: &tokenstore.NotOwnedError{Name: "x"}}, says: "not this channel's"},
		"not allowed":          {c: cluster{snap: good}, says: "may not be used"},
		"no app":               {c: cluster{allowed: true, snap: good}, change: func(ch *v1alpha1.TiktokChannel) { ch.Spec.AppRef.Name = "gone" }, says: "does not exist"},
		"no business":          {c: cluster{allowed: true, snap: good}, change: func(ch *v1alpha1.TiktokChannel) { ch.Status.BusinessID = "" }, says: "not confirmed"},
		"unreadable Secret":    {c: cluster{allowed: true, err: broken}, err: broken},
		"unreadable Namespace": {c: cluster{allowedErr: broken, snap: good}, err: broken},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSessions(t, &test.c, clocktesting.NewFakeClock(now), "app")
			ch := channel()
			if test.change != nil {
				test.change(ch)
			}
			got, err := s.Session(t.Context(), ch)
			var refusal *business.NotAuthorizedError
			switch {
			case got != nil || err == nil:
				t.Fatalf("got %+v", got)
			case strings.Contains(err.Error(), secret):
				t.Errorf("the error tells the token: %v", err)
			case test.err != nil && (!errors.Is(err, test.err) || errors.As(err, &refusal)):
				t.Errorf("got %v, want %v", err, test.err)
			case test.err == nil && (!errors.As(err, &refusal) || !strings.Contains(refusal.Reason, test.says)):
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
	if _, err := business.New(business.Options{}); err == nil {
		t.Error("sessions are made of nothing")
	}
}
