package access_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/internal/access"
)

var start = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// cluster is an API server that answers reviews.
type cluster struct {
	mu        sync.Mutex
	users     map[string]authenticationv1.TokenReviewStatus // by token
	may       map[string]bool                               // "user verb subresource namespace/name"
	err       error
	hang      bool // until the question is given up
	reviews   int  // TokenReviews asked
	questions []authorizationv1.SubjectAccessReviewSpec
	entered   chan struct{}
	release   chan struct{}
}

func (c *cluster) create(ctx context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
	c.mu.Lock()
	entered, release, hang := c.entered, c.release, c.hang
	c.mu.Unlock()
	if entered != nil {
		entered <- struct{}{}
		<-release
	}
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	switch review := o.(type) {
	case *authenticationv1.TokenReview:
		c.reviews++
		status, known := c.users[review.Spec.Token]
		if !known {
			status.Error = "invalid bearer token"
		}
		if len(review.Spec.Audiences) != 1 || review.Spec.Audiences[0] != "tiktok-operator" {
			return fmt.Errorf("audiences %v", review.Spec.Audiences)
		}
		review.Status = status
	case *authorizationv1.SubjectAccessReview:
		c.questions = append(c.questions, review.Spec)
		a := review.Spec.ResourceAttributes
		review.Status.Allowed = c.may[fmt.Sprintf("%s %s %s %s/%s", review.Spec.User, a.Verb, a.Subresource, a.Namespace, a.Name)]
	default:
		return fmt.Errorf("unexpected %T", o)
	}
	return nil
}

func (c *cluster) set(change func(*cluster)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}

func user(name string, audiences ...string) authenticationv1.TokenReviewStatus {
	return authenticationv1.TokenReviewStatus{
		Authenticated: true, Audiences: audiences,
		User: authenticationv1.UserInfo{
			Username: name, UID: "uid-" + name, Groups: []string{"group"}, Extra: map[string]authenticationv1.ExtraValue{"pod": {"p"}},
		},
	}
}

type fixture struct {
	*cluster
	clock   *clocktesting.FakeClock
	handler http.Handler
	log     *strings.Builder
}

// newFixture is one whose API server may take a time to answer.
func newFixture(t *testing.T, within ...time.Duration) *fixture {
	t.Helper()
	f := &fixture{
		clock: clocktesting.NewFakeClock(start), log: &strings.Builder{},
		cluster: &cluster{
			users: map[string]authenticationv1.TokenReviewStatus{
				"alice-token": user("alice", "tiktok-operator"),
				"bob-token":   user("bob", "tiktok-operator", "api"),
				"other-token": user("alice", "api"),
				"old-server":  user("alice"),
				"nameless":    user("", "tiktok-operator"),
			},
			may: map[string]bool{"alice create authorization shop/acme": true},
		},
	}
	var mu sync.Mutex
	a, err := access.New(access.Options{
		Client:  fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithInterceptorFuncs(interceptor.Funcs{Create: f.create}).Build(),
		Clock:   f.clock,
		Timeout: append(within, time.Minute)[0],
		Log: funcr.New(func(prefix, args string) {
			mu.Lock()
			defer mu.Unlock()
			f.log.WriteString(prefix + args + "\n")
		}, funcr.Options{Verbosity: 127}),
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/namespaces/{namespace}/channels/{name}/authorization",
		a.Require(access.Rule{Verb: "create", Subresource: "authorization"}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, ok := access.UserFrom(r.Context())
			fmt.Fprint(w, user.Username, ok)
		})))
	f.handler = mux
	return f
}

const path = "/v1/namespaces/shop/channels/acme/authorization"

func (f *fixture) call(authorization, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w
}

func TestRequire(t *testing.T) {
	for name, tc := range map[string]struct {
		authorization, path string
		status              int
		problem, challenge  string
	}{
		"allowed":                   {"Bearer alice-token", path, 200, "", ""},
		"scheme in another case":    {"bearer  alice-token", path, 200, "", ""},
		"no header":                 {"", path, 401, "unauthenticated", `Bearer realm="tiktok-operator"`},
		"basic":                     {"Basic YTpi", path, 401, "unauthenticated", `error="invalid_request"`},
		"no token":                  {"Bearer ", path, 401, "unauthenticated", `error="invalid_request"`},
		"two words":                 {"Bearer alice-token x", path, 401, "unauthenticated", `error="invalid_request"`},
		"too long":                  {"Bearer " + strings.Repeat("a", 9000), path, 401, "unauthenticated", `error="invalid_request"`},
		"unknown token":             {"Bearer made-up", path, 401, "unauthenticated", `error="invalid_token"`},
		"another audience":          {"Bearer other-token", path, 401, "unauthenticated", `error="invalid_token"`},
		"server ignores audiences":  {"Bearer old-server", path, 401, "unauthenticated", `error="invalid_token"`},
		"no user":                   {"Bearer nameless", path, 401, "unauthenticated", `error="invalid_token"`},
		"not allowed":               {"Bearer bob-token", path, 403, "forbidden", ""},
		"allowed elsewhere":         {"Bearer alice-token", "/v1/namespaces/other/channels/acme/authorization", 403, "forbidden", ""},
		"allowed for another":       {"Bearer alice-token", "/v1/namespaces/shop/channels/acme2/authorization", 403, "forbidden", ""},
		"impossible name":           {"Bearer alice-token", "/v1/namespaces/shop/channels/a%2Fb/authorization", 404, "not-found", ""},
		"impossible namespace":      {"Bearer alice-token", "/v1/namespaces/sh.op/channels/acme/authorization", 404, "not-found", ""},
		"impossible, not anonymous": {"", "/v1/namespaces/shop/channels/a%2Fb/authorization", 401, "unauthenticated", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			w := f.call(tc.authorization, tc.path)
			if w.Code != tc.status {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if tc.status == 200 {
				if w.Body.String() != "alicetrue" {
					t.Fatalf("the handler saw %s", w.Body)
				}
				return
			}
			checkProblem(t, w, tc.problem)
			if !strings.Contains(w.Header().Get("WWW-Authenticate"), tc.challenge) || (tc.status == 401) != (w.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("challenge %q", w.Header().Get("WWW-Authenticate"))
			}
		})
	}
}

func checkProblem(t *testing.T, w *httptest.ResponseRecorder, name string) {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	if p.Type != "https://tiktok-operator.io/problems/"+name || p.Status != w.Code || p.Title == "" || p.Detail == "" {
		t.Errorf("problem %+v", p)
	}
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q", got)
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Error("a refusal may be cached")
	}
}

func TestTwoTokensAreRefused(t *testing.T) {
	f := newFixture(t)
	r := httptest.NewRequest(http.MethodPost, path, nil)
	r.Header.Add("Authorization", "Bearer made-up")
	r.Header.Add("Authorization", "Bearer alice-token")
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized || f.reviews != 0 {
		t.Fatalf("status %d after %d reviews", w.Code, f.reviews)
	}
}

func TestTheQuestion(t *testing.T) {
	f := newFixture(t)
	f.call("Bearer alice-token", path)
	if len(f.questions) != 1 {
		t.Fatalf("%d questions", len(f.questions))
	}
	q := f.questions[0]
	a := q.ResourceAttributes
	if q.User != "alice" || q.UID != "uid-alice" || len(q.Groups) != 1 || q.Extra["pod"][0] != "p" {
		t.Errorf("asked about %+v", q)
	}
	if a.Group != "channels.tiktok-operator.io" || a.Version != "v1alpha1" || a.Resource != "tiktokchannels" || a.Subresource != "authorization" ||
		a.Verb != "create" || a.Namespace != "shop" || a.Name != "acme" {
		t.Errorf("asked for %+v", a)
	}
}

func TestAnswersAreKeptBriefly(t *testing.T) {
	f := newFixture(t)
	expect := func(token string, status, reviews, questions int) {
		t.Helper()
		if w := f.call("Bearer "+token, path); w.Code != status || f.reviews != reviews || len(f.questions) != questions {
			t.Fatalf("status %d after %d reviews and %d questions, want %d, %d, %d", w.Code, f.reviews, len(f.questions), status, reviews, questions)
		}
	}
	expect("alice-token", 200, 1, 1)
	expect("bob-token", 403, 2, 2)
	expect("made-up", 401, 3, 2)
	// All three are turned round; until the answers end, nobody is asked.
	f.set(func(c *cluster) {
		c.users["made-up"] = user("alice", "tiktok-operator")
		c.may["bob create authorization shop/acme"] = true
		delete(c.may, "alice create authorization shop/acme")
	})
	f.clock.Step(4 * time.Second)
	expect("alice-token", 200, 3, 2)
	expect("bob-token", 403, 3, 2)
	expect("made-up", 401, 3, 2)
	f.clock.Step(2 * time.Second) // a refusal is kept for 5 s
	expect("bob-token", 200, 3, 3)
	expect("made-up", 403, 4, 4)
	f.clock.Step(23 * time.Second)
	expect("alice-token", 200, 4, 4)
	f.clock.Step(2 * time.Second) // a right for 30 s
	expect("alice-token", 403, 5, 5)
}

func TestMadeUpTokensPushOutNobody(t *testing.T) {
	f := newFixture(t)
	f.call("Bearer alice-token", path)
	for i := range 5000 {
		f.call(fmt.Sprintf("Bearer made-up-%d", i), path)
	}
	before := f.reviews
	if w := f.call("Bearer alice-token", path); w.Code != 200 || f.reviews != before {
		t.Fatalf("status %d, %d more reviews", w.Code, f.reviews-before)
	}
}

func TestAPIServerAway(t *testing.T) {
	for name, away := range map[string]func(*cluster){
		"refuses": func(c *cluster) { c.err = errors.New("connection refused") },
		"hangs":   func(c *cluster) { c.hang = true },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 2*time.Second)
			f.set(away)
			w := f.call("Bearer alice-token", path)
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
				t.Fatalf("status %d, %v", w.Code, w.Header())
			}
			checkProblem(t, w, "unavailable")
			// It is not remembered.
			f.set(func(c *cluster) { c.err, c.hang = nil, false })
			if w := f.call("Bearer alice-token", path); w.Code != 200 {
				t.Fatalf("status %d when it is back", w.Code)
			}
			// What is known goes on while it is away.
			f.set(away)
			if w := f.call("Bearer alice-token", path); w.Code != 200 {
				t.Fatalf("status %d although the answer is known", w.Code)
			}
		})
	}
}

func TestManyCallersAskOnce(t *testing.T) {
	f := newFixture(t)
	f.set(func(c *cluster) { c.entered, c.release = make(chan struct{}), make(chan struct{}) })
	const callers = 20
	done := make(chan int, callers)
	call := func() { done <- f.call("Bearer alice-token", path).Code }
	go call()
	<-f.entered // the first is asking
	for range callers - 1 {
		go call()
	}
	close(f.release)
	go func() {
		for range f.entered { // whoever else asks, is let through
		}
	}()
	for range callers {
		if code := <-done; code != 200 {
			t.Fatalf("status %d", code)
		}
	}
	// Late ones find the answer kept, so that however they were scheduled there was one review and one question.
	if f.reviews != 1 || len(f.questions) != 1 {
		t.Fatalf("%d reviews and %d questions", f.reviews, len(f.questions))
	}
}

func TestACallerThatLeavesSpoilsNothing(t *testing.T) {
	f := newFixture(t)
	f.set(func(c *cluster) { c.entered, c.release = make(chan struct{}), make(chan struct{}) })
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan struct{})
	go func() {
		r := httptest.NewRequest(http.MethodPost, path, nil).WithContext(ctx)
		r.Header.Set("Authorization", "Bearer alice-token")
		f.handler.ServeHTTP(httptest.NewRecorder(), r)
		close(left)
	}()
	<-f.entered
	cancel()
	<-left
	stayed := make(chan int)
	go func() { stayed <- f.call("Bearer alice-token", path).Code }()
	close(f.release)
	go func() {
		for range f.entered {
		}
	}()
	if code := <-stayed; code != 200 {
		t.Fatalf("status %d", code)
	}
}

func TestTokensAreNotLogged(t *testing.T) {
	f := newFixture(t)
	for _, token := range []string{"alice-token", "bob-token", "other-token", "made-up"} {
		f.call("Bearer "+token, path)
	}
	f.set(func(c *cluster) { c.err = errors.New("connection refused") })
	f.clock.Step(time.Minute)
	f.call("Bearer alice-token", path)
	log := f.log.String()
	if log == "" {
		t.Fatal("nothing was logged")
	}
	for _, token := range []string{"alice-token", "bob-token", "other-token", "made-up"} {
		if strings.Contains(log, token) {
			t.Errorf("the log holds %s: %s", token, log)
		}
	}
}

func TestNewNeedsAClient(t *testing.T) {
	if _, err := access.New(access.Options{}); err == nil {
		t.Fatal("made without a client")
	}
}
