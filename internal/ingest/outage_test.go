package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// fail makes the API server answer requests for Secrets with an error from now on.
func (c *credentials) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// While the API server is away, events keep coming: signatures are checked with the secret as it was last read. Nobody's forgery changes that.
func TestWebhooksAreTakenWithoutTheAPIServer(t *testing.T) {
	f := setup(t, channel("ch", "uid-1", business))
	expect := func(what string, id string, with tiktok.Secret, want int) {
		t.Helper()
		if w := f.post("/webhooks/app", text(id, "c"), with); w.Code != want {
			t.Errorf("%s: %d %s, want %d", what, w.Code, strings.TrimSpace(w.Body.String()), want)
		}
	}
	expect("the secret is read", "1", secret, http.StatusOK)
	f.creds.fail(errors.New("no route to the API server"))
	expect("without the API server", "2", secret, http.StatusOK)
	expect("the previous secret", "3", previous, http.StatusOK)
	// It may be signed with a new secret, so it must come again.
	expect("a signature that does not match", "4", "unknown", http.StatusServiceUnavailable)
	expect("after a forgery", "5", secret, http.StatusOK)
	f.clock.Step(time.Hour)
	expect("much later", "6", secret, http.StatusOK)
	f.creds.stored = appclient.Credentials{Current: "rotated"}
	f.creds.fail(nil)
	f.clock.Step(time.Hour)
	expect("rotated, and the API server is back", "4", "rotated", http.StatusOK)
	expect("the secret that was replaced", "7", secret, http.StatusUnauthorized)
	if n := len(f.events(t, "uid-1")); n != 6 {
		t.Errorf("%d events are stored, want 6", n)
	}
}

// What the API server says counts, also if that is no.
func TestARevokedSecretIsNotTakenForAnOutage(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "app", errors.New("no"))
	for name, err := range map[string]error{"deleted": &appclient.MissingError{Name: "s"}, "forbidden": forbidden} {
		t.Run(name, func(t *testing.T) {
			f := setup(t, channel("ch", "uid-1", business))
			f.post("/webhooks/app", text("1", "c"), secret)
			f.creds.fail(err)
			for _, then := range []error{err, errors.New("and then it went away")} {
				f.creds.fail(then)
				if w := f.post("/webhooks/app", text("2", "c"), secret); w.Code != http.StatusServiceUnavailable {
					t.Errorf("%v: %d", then, w.Code)
				}
			}
		})
	}
}

// Another Secret's content is no substitute for that of the one that the app names now.
func TestAnotherSecretIsNoSubstitute(t *testing.T) {
	f := setup(t, channel("ch", "uid-1", business))
	f.post("/webhooks/app", text("1", "c"), secret)
	f.creds.fail(errors.New("no route to the API server"))
	var app v1alpha1.TiktokApp
	if err := f.client.Get(t.Context(), types.NamespacedName{Name: "app"}, &app); err != nil {
		t.Fatal(err)
	}
	app.Spec.SecretRef.Name = "another"
	if err := f.client.Update(t.Context(), &app); err != nil {
		t.Fatal(err)
	}
	if w := f.post("/webhooks/app", text("2", "c"), secret); w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d", w.Code)
	}
}

// An API server that does not answer does not hold up the answer to TikTok for long: the wait for it ends, and the old secret is used.
func TestASilentAPIServerHoldsNothingUp(t *testing.T) {
	f := setup(t, channel("ch", "uid-1", business))
	f.post("/webhooks/app", text("1", "c"), secret)
	f.creds.silent = true
	if w := f.post("/webhooks/app", text("2", "c"), secret); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	asked := f.creds.asked
	for range 5 {
		f.post("/webhooks/app", text("2", "c"), secret)
	}
	if f.creds.asked != asked {
		t.Error("it is asked for each webhook, each of which waits")
	}
	f.clock.Step(time.Hour)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { f.post("/webhooks/app", text("2", "c"), secret) })
	}
	wg.Wait()
	if f.creds.asked != asked+1 {
		t.Errorf("it is asked by %d webhooks at once, each of which waits", f.creds.asked-asked)
	}
}

// hold keeps the API server from answering until it is released.
func (c *credentials) hold() (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := make(chan struct{})
	c.held = held
	return func() { close(held) }
}

// reached waits until so many readings have begun.
func (c *credentials) reached(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		asked := c.asked
		c.mu.Unlock()
		if asked == n {
			return
		}
		if asked > n || time.Now().After(deadline) {
			t.Fatalf("the API server was asked %d times, want %d", asked, n)
		}
	}
}

// When what was read of a secret has become old, one webhook asks for all. The others do not wait, unless their signature does not match: a new
// secret is found, and a forgery is refused as one.
func TestOneWebhookAsksForAll(t *testing.T) {
	f := setup(t, channel("ch", "uid-1", business))
	f.post("/webhooks/app", text("1", "c"), secret)
	release := f.creds.hold()
	var wg sync.WaitGroup
	answers := map[string]int{}
	var mu sync.Mutex
	post := func(id string, with tiktok.Secret) {
		wg.Go(func() {
			code := f.post("/webhooks/app", text(id, "c"), with).Code
			mu.Lock()
			defer mu.Unlock()
			answers[id] = code
		})
	}
	post("first", secret)
	f.creds.reached(t, 2)
	f.creds.mu.Lock()
	f.creds.cached = appclient.Credentials{Current: "rotated", Previous: secret}
	f.creds.stored = f.creds.cached
	f.creds.mu.Unlock()
	post("new", "rotated")
	for i := range 5 {
		post(fmt.Sprint("forged ", i), "forged")
	}
	for range 20 {
		if w := f.post("/webhooks/app", text("2", "c"), secret); w.Code != http.StatusOK {
			t.Errorf("meanwhile: %d %s", w.Code, w.Body)
		}
	}
	f.creds.reached(t, 2)
	release()
	wg.Wait()
	for id, code := range answers {
		if want := map[bool]int{true: http.StatusUnauthorized, false: http.StatusOK}[strings.HasPrefix(id, "forged")]; code != want {
			t.Errorf("%s: %d, want %d", id, code, want)
		}
	}
}

// The sender of the webhook that asks may leave: those that wait with it hear the answer.
func TestWhoAsksForAllMayLeave(t *testing.T) {
	f := setup(t, channel("ch", "uid-1", business))
	release := f.creds.hold()
	ctx, leave := context.WithCancel(t.Context())
	var first, second *httptest.ResponseRecorder
	var left, wg sync.WaitGroup
	left.Go(func() {
		body := text("1", "c")
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/webhooks/app", bytes.NewReader(body))
		r.Header.Set(tiktok.SignatureHeader, tiktok.Sign(secret, body, f.clock.Now()))
		first = httptest.NewRecorder()
		f.handler.ServeHTTP(first, r)
	})
	f.creds.reached(t, 1)
	wg.Go(func() { second = f.post("/webhooks/app", text("2", "c"), secret) })
	leave()
	left.Wait()
	release()
	wg.Wait()
	if first.Code != http.StatusServiceUnavailable || second.Code != http.StatusOK {
		t.Errorf("who left: %d; who stayed: %d %s", first.Code, second.Code, second.Body)
	}
}
