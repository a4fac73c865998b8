package oauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

var (
	errAway   = errors.New("connection refused")
	forbidden = apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "acme-tiktok-token", errors.New("no"))
)

func isSecret(o client.Object) bool { _, is := o.(*corev1.Secret); return is }

// TestOneBusinessForTwoChannels: of channels that race for one business, one gets it, and its tokens work afterwards.
func TestOneBusinessForTwoChannels(t *testing.T) {
	f := newFixture(t, settings{})
	const channels = 6
	type result struct {
		ch *v1alpha1.TiktokChannel
		p  page
	}
	results := make([]result, channels)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range channels {
		ch, browser := f.channel(fmt.Sprintf("ns-%d", i), "acme"), f.browser()
		callback := f.begin(browser, f.link(ch, 0))
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			results[i] = result{ch, f.open(browser, callback)}
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	granted := 0
	for _, r := range results {
		if r.p.result == oauth.ResultGranted {
			granted++
			secret := f.tokens(r.ch)
			if secret == nil || !f.sim.RefreshTokenWorks(string(secret.Data["refresh_token"])) {
				t.Error("the winner has no tokens that work")
			}
			if f.holder(business) != client.ObjectKeyFromObject(r.ch).String() {
				t.Errorf("the winner does not hold the business: %s", f.holder(business))
			}
			continue
		}
		f.expect(r.p, oauth.ResultAccountInUse)
		if f.tokens(r.ch) != nil {
			t.Error("a loser has tokens")
		}
	}
	if granted != 1 {
		t.Errorf("%d channels got the business", granted)
	}
}

// TestTwoAuthorizationsOfOneChannel: one is stored; the other neither takes its reservation away nor ends its tokens.
func TestTwoAuthorizationsOfOneChannel(t *testing.T) {
	for name, second := range map[string]string{"of one account": business, "of two accounts": "biz-2"} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, settings{})
			f.sim.AddBusiness(simulator.Business{OpenID: "biz-2", Username: "second"})
			ch := f.channel("shop", "acme")
			var callbacks [2]string
			var browsers [2]*http.Client
			for i, account := range []string{business, second} {
				f.sim.SetConsent(simulator.Consent{Business: account})
				browsers[i] = f.browser()
				callbacks[i] = f.begin(browsers[i], f.link(ch, 0))
			}
			// Both have looked at the Secret before either writes it.
			var arrived sync.WaitGroup
			arrived.Add(2)
			f.hooks.set(func(h *hooks) {
				h.write = func(o client.Object) error {
					if isSecret(o) {
						arrived.Done()
						arrived.Wait()
					}
					return nil
				}
			})
			var pages [2]page
			var wg sync.WaitGroup
			for i := range pages {
				wg.Go(func() { pages[i] = f.open(browsers[i], callbacks[i]) })
			}
			wg.Wait()
			f.hooks.set(func(h *hooks) { h.write = nil })
			winner := 0
			if pages[1].result == oauth.ResultGranted {
				winner = 1
			}
			f.expect(pages[winner], oauth.ResultGranted)
			f.expect(pages[1-winner], oauth.ResultLinkSuperseded)
			secret := f.tokens(ch)
			kept := string(secret.Data["business_id"])
			if kept != []string{business, second}[winner] || !f.sim.RefreshTokenWorks(string(secret.Data["refresh_token"])) {
				t.Errorf("kept %s", kept)
			}
			if f.holder(kept) != "shop/acme" {
				t.Errorf("the kept business is held by %q", f.holder(kept))
			}
			if lost := []string{business, second}[1-winner]; lost != kept && f.holder(lost) != "" {
				t.Errorf("the other business is still held by %q", f.holder(lost))
			}
		})
	}
}

// TestAPIServerAwayAfterTheExchange: the code is spent and its tokens are nowhere else, so storing is tried again.
func TestAPIServerAwayAfterTheExchange(t *testing.T) {
	f := newFixture(t, settings{})
	ch := f.channel("shop", "acme")
	browser := f.browser()
	callback := f.begin(browser, f.link(ch, 0))
	var mu sync.Mutex
	refused := map[string]bool{}
	// Everything that is asked after the exchange fails the first time.
	fail := func(verb string, o client.Object) error {
		mu.Lock()
		defer mu.Unlock()
		what := fmt.Sprintf("%s %T", verb, o)
		if f.sim.CountCalls("tt_user/oauth2/token/") == 0 || refused[what] {
			return nil
		}
		refused[what] = true
		return errAway
	}
	f.hooks.set(func(h *hooks) {
		h.get = func(_ client.ObjectKey, o client.Object) error { return fail("get", o) }
		h.write = func(o client.Object) error { return fail("write", o) }
	})
	f.expect(f.open(browser, callback), oauth.ResultGranted)
	if f.tokens(ch) == nil || f.holder(business) != "shop/acme" {
		t.Error("not stored, or not held")
	}
	for _, what := range []string{"get *v1alpha1.TiktokChannel", "get *v1.Secret", "get *v1.Lease", "write *v1.Lease", "write *v1.Secret"} {
		if !refused[what] {
			t.Errorf("%s was not tried: %v", what, refused)
		}
	}
}

// TestAPIServerAwayForGood: the person is told, and what was reserved is given up as soon as that can be done.
func TestAPIServerAwayForGood(t *testing.T) {
	for name, tc := range map[string]struct {
		away   func(client.Object) bool
		holder string
	}{
		"the token Secret": {isSecret, ""},
		"the Lease":        {func(o client.Object) bool { _, is := o.(*coordinationv1.Lease); return is }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits
			f := newFixture(t, settings{change: func(o *oauth.Options) { o.AnswerWithin = 4 * time.Second }})
			ch := f.channel("shop", "acme")
			browser := f.browser()
			callback := f.begin(browser, f.link(ch, 0))
			f.failWrite(errAway, tc.away)
			p := f.open(browser, callback)
			f.expect(p, oauth.ResultUnavailable, "could not be stored")
			if p.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			f.hooks.set(func(h *hooks) { h.write = nil })
			if f.tokens(ch) != nil || f.holder(business) != tc.holder {
				t.Errorf("left behind: %v, held by %q", f.tokens(ch), f.holder(business))
			}
			f.expect(f.open(browser, f.link(ch, 0)), oauth.ResultGranted)
		})
	}
}

// TestAWriteWhoseAnswerWasLost is a success.
func TestAWriteWhoseAnswerWasLost(t *testing.T) {
	lost := &lostAnswer{}
	f := newFixture(t, settings{change: func(o *oauth.Options) { lost.TokenStore, o.Tokens = o.Tokens, lost }})
	ch := f.channel("shop", "acme")
	browser := f.browser()
	callback := f.begin(browser, f.link(ch, 0))
	lost.lose.Store(true)
	f.expect(f.open(browser, callback), oauth.ResultGranted)
	if f.tokens(ch) == nil || f.holder(business) != "shop/acme" {
		t.Error("not stored, or not held")
	}
}

// lostAnswer is a TokenStore whose writes succeed without saying so.
type lostAnswer struct {
	oauth.TokenStore
	lose atomic.Bool
}

// TestTheBrowserLeaves after the code was exchanged: the tokens are stored all the same.
func TestTheBrowserLeaves(t *testing.T) {
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	exchanged, left := make(chan struct{}), make(chan struct{})
	f := newFixture(t, settings{sim: simulator.Options{AfterProcess: func(endpoint string) {
		if endpoint == "tt_user/oauth2/token/" {
			close(exchanged)
			<-left // TikTok's answer comes when the browser is gone
		}
	}}})
	ch := f.channel("shop", "acme")
	browser := f.browser()
	callback := f.begin(browser, f.link(ch, 0))
	// Not over a connection: a server notices the end of one too late for this test to depend on it.
	req := newRequest(t, http.MethodGet, callback).WithContext(ctx)
	for _, c := range browser.Jar.Cookies(req.URL) {
		req.AddCookie(c)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		f.oauth.ServeHTTP(httptest.NewRecorder(), req)
	}()
	<-exchanged
	leave()
	close(left)
	<-served
	if f.tokens(ch) == nil || f.holder(business) != "shop/acme" {
		t.Fatalf("the tokens were lost:\n%s", f.allLogs())
	}
}

// TestDeletedDuringTheExchange: a channel that goes while TikTok answers leaves nothing behind.
func TestDeletedDuringTheExchange(t *testing.T) {
	var f *fixture
	var ch *v1alpha1.TiktokChannel
	f = newFixture(t, settings{sim: simulator.Options{AfterProcess: func(endpoint string) {
		if endpoint == "tt_user/oauth2/token/" {
			if err := f.client.Delete(context.Background(), ch); err != nil {
				t.Error(err)
			}
		}
	}}})
	ch = f.channel("shop", "acme")
	f.expect(f.open(f.browser(), f.link(ch, 0)), oauth.ResultChannelGone)
	if f.tokens(ch) != nil || f.holder(business) != "" || f.sim.CountCalls("tt_user/oauth2/revoke/") != 1 {
		t.Errorf("left behind: %v, held by %q", f.tokens(ch), f.holder(business))
	}
}

// TestTheExchangeIsRepeated only because TikTok was provably not reached.
func TestTheExchangeIsRepeated(t *testing.T) {
	var dials atomic.Int32
	dialer := &net.Dialer{}
	f := newFixture(t, settings{tiktok: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials.Add(1) == 1 {
				return nil, errAway
			}
			return dialer.DialContext(ctx, network, address)
		},
	}}})
	ch := f.channel("shop", "acme")
	f.expect(f.open(f.browser(), f.link(ch, 0)), oauth.ResultGranted)
	if f.sim.CountCalls("tt_user/oauth2/token/") != 1 || dials.Load() < 2 {
		t.Errorf("%d dials", dials.Load())
	}
}

func TestWithoutAProfile(t *testing.T) {
	f := newFixture(t, settings{})
	f.sim.InjectFault(simulator.Fault{Endpoint: "business/get/", Status: 500})
	ch := f.channel("shop", "acme")
	f.expect(f.open(f.browser(), f.link(ch, 0)), oauth.ResultGranted, business)
	if f.tokens(ch) == nil {
		t.Error("the tokens were lost for want of a name")
	}
}

// TestSparseAnswers: TikTok may leave out fields, and then is asked for them.
func TestSparseAnswers(t *testing.T) {
	const tokens = `"access_token":"sparse-access-token","refresh_token":"sparse-refresh-token"`
	all := `"scope":"` + strings.Join(scopes, ",") + `"`
	for name, tc := range map[string]struct {
		token, info string
		result      oauth.Result
		revoked     bool
	}{
		"complete":             {`{` + tokens + `,"open_id":"biz",` + all + `}`, ``, oauth.ResultGranted, false},
		"no open_id":           {`{` + tokens + `,` + all + `}`, `{"creator_id":"biz"}`, oauth.ResultGranted, false},
		"no scope":             {`{` + tokens + `,"open_id":"biz"}`, `{` + all + `}`, oauth.ResultGranted, false},
		"no scope, missing":    {`{` + tokens + `,"open_id":"biz"}`, `{"scope":"user.info.basic"}`, oauth.ResultScopesMissing, true},
		"no scope anywhere":    {`{` + tokens + `,"open_id":"biz"}`, `{}`, oauth.ResultGranted, false},
		"no scope, no info":    {`{` + tokens + `,"open_id":"biz"}`, ``, oauth.ResultGranted, false},
		"nobody's":             {`{` + tokens + `,` + all + `}`, `{}`, oauth.ResultTikTokUnreachable, false},
		"nobody's, no info":    {`{` + tokens + `,` + all + `}`, ``, oauth.ResultTikTokUnreachable, false},
		"without access token": {`{"refresh_token":"sparse-refresh-token","open_id":"biz"}`, ``, oauth.ResultTikTokUnreachable, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, settings{})
			f.secret("access token", "sparse-access-token")
			f.secret("refresh token", "sparse-refresh-token")
			var revoked atomic.Bool
			sparse := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				data := ""
				switch {
				case strings.HasSuffix(r.URL.Path, "/tt_user/oauth2/token/"):
					data = tc.token
				case strings.HasSuffix(r.URL.Path, "/tt_user/token_info/get/"):
					data = tc.info
				case strings.HasSuffix(r.URL.Path, "/tt_user/oauth2/revoke/"):
					revoked.Store(true)
					data = "{}"
				}
				if data == "" {
					http.Error(w, "no", http.StatusBadGateway)
					return
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"code": 0, "message": "OK", "data": json.RawMessage(data)})
			}))
			t.Cleanup(sparse.Close)
			ch := f.channel("shop", "acme")
			browser := f.browser()
			callback := f.begin(browser, f.link(ch, 0))
			f.app.Spec.Endpoints.API = sparse.URL
			f.update(f.app)
			f.expect(f.open(browser, callback), tc.result)
			if (f.tokens(ch) != nil) != (tc.result == oauth.ResultGranted) || revoked.Load() != tc.revoked {
				t.Errorf("stored %v, revoked %t", f.tokens(ch), revoked.Load())
			}
		})
	}
}

// Authorize implements oauth.TokenStore.
func (l *lostAnswer) Authorize(ctx context.Context, ch *v1alpha1.TiktokChannel, t token.Tokens, epoch int64) error {
	err := l.TokenStore.Authorize(ctx, ch, t, epoch)
	if l.lose.Load() && err == nil {
		return errAway
	}
	return err
}

// TestTheBusinessIsLostBeforeItsTokensAreStored: a process slept between reserving and storing, and another channel took over meanwhile.
func TestTheBusinessIsLostBeforeItsTokensAreStored(t *testing.T) {
	f := newFixture(t, settings{})
	ch := f.channel("shop", "acme")
	other := f.channel("rival", "acme", func(c *v1alpha1.TiktokChannel) { c.Status.BusinessID = business })
	var once sync.Once
	f.hooks.set(func(h *hooks) {
		h.write = func(o client.Object) (err error) {
			if isSecret(o) {
				once.Do(func() {
					ctx := context.Background()
					if err = f.opts.Reservations.Release(ctx, business, ch); err == nil {
						err = f.opts.Reservations.Hold(ctx, business, other)
					}
				})
			}
			return err
		}
	})
	browser := f.browser()
	f.expect(f.open(browser, f.begin(browser, f.link(ch, 0))), oauth.ResultAccountInUse)
	if got := f.holder(business); got != "rival/acme" {
		t.Errorf("held by %q", got)
	}
}
