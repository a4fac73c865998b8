package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

const business = "biz-0001" // the simulator's default, @acme

func TestGranted(t *testing.T) {
	for name, s := range map[string]settings{
		"https":                   {},
		"loopback":                {plain: true},
		"path kept by ingress":    {prefix: "/a/b"},
		"path taken by ingress":   {prefix: "/a/b", strip: true},
		"loopback and path taken": {plain: true, prefix: "/a", strip: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, s)
			ch := f.channel("shop", "acme")
			browser := f.browser()
			p := f.open(browser, f.link(ch, 0))
			f.expect(p, oauth.ResultGranted, "shop/acme", "account @acme", "message requests")
			if p.url.Path != s.prefix+"/oauth/done" || p.url.Query().Has("code") || p.url.Query().Has("state") {
				t.Errorf("ended at %s", p.url)
			}
			f.expect(f.open(browser, p.url.String()), oauth.ResultGranted, "@acme") // reloaded
			f.clock.SetTime(f.clock.Now().Add(2 * time.Hour))
			f.expect(f.open(browser, p.url.String()), oauth.ResultReceiptExpired)
			if want := []oauth.Result{oauth.ResultRedirected, oauth.ResultGranted}; !slices.Equal(f.results, want) {
				t.Errorf("observed %v", f.results)
			}

			secret := f.tokens(ch)
			if secret == nil || string(secret.Data[v1alpha1.BusinessIDKey]) != business || secret.Type != v1alpha1.TokenSecretType ||
				secret.Annotations[v1alpha1.AuthorizationEpochAnnotation] != "1" {
				t.Fatalf("stored %v", secret)
			}
			if !f.sim.RefreshTokenWorks(string(secret.Data[v1alpha1.RefreshTokenKey])) {
				t.Error("the stored tokens do not work")
			}
			if f.holder(business) != "shop/acme" {
				t.Errorf("held by %q", f.holder(business))
			}
			if f.sim.CountCalls("tt_user/oauth2/token/") != 1 || f.sim.CountCalls("") != 2 {
				t.Errorf("calls: %v", f.sim.Calls(""))
			}
			if f.allEvents() != "" {
				t.Errorf("events: %s", f.allEvents()) // the manager raises Authorized
			}
		})
	}
}

func TestGrantedToASuspendedChannel(t *testing.T) {
	f := newFixture(t, settings{})
	ch := f.channel("shop", "acme", func(c *v1alpha1.TiktokChannel) { c.Spec.Suspend = true })
	f.expect(f.open(f.browser(), f.link(ch, 0)), oauth.ResultGranted, "spec.suspend")
	if f.tokens(ch) == nil {
		t.Error("nothing was stored")
	}
}

// TestReauthorization keeps the channel, replaces the tokens, and shows TikTok's consent again.
func TestReauthorization(t *testing.T) {
	f := newFixture(t, settings{})
	ch := f.channel("shop", "acme")
	browser := f.browser()
	f.expect(f.open(browser, f.link(ch, 0)), oauth.ResultGranted)
	first := f.tokens(ch)
	f.expect(f.open(browser, f.link(ch, 0)), oauth.ResultLinkSuperseded)
	f.expect(f.open(browser, f.link(ch, 1)), oauth.ResultGranted)
	second := f.tokens(ch)
	if string(first.Data["refresh_token"]) == string(second.Data["refresh_token"]) || second.Annotations[v1alpha1.AuthorizationEpochAnnotation] != "2" {
		t.Errorf("the tokens were not replaced: %v", second.Annotations)
	}
	if f.holder(business) != "shop/acme" {
		t.Errorf("held by %q", f.holder(business))
	}
}

// refusal is an authorization that ends without tokens.
type refusal struct {
	// prepare is called before the link is opened, between before the callback is.
	prepare, between func(f *fixture, ch *v1alpha1.TiktokChannel)
	// tamper changes the callback.
	tamper func(f *fixture, callback *url.URL)
	result oauth.Result
	says   string
	event  string // part of the event's note; "" for none
	// revoked: TikTok is told that the tokens are not wanted.
	revoked bool
	// holder of the business afterwards.
	holder string
}

func TestRefusals(t *testing.T) {
	no := errors.New("connection refused")
	consent := func(c simulator.Consent) func(*fixture, *v1alpha1.TiktokChannel) {
		return func(f *fixture, _ *v1alpha1.TiktokChannel) { f.sim.SetConsent(c) }
	}
	fault := func(fl simulator.Fault) func(*fixture, *v1alpha1.TiktokChannel) {
		return func(f *fixture, _ *v1alpha1.TiktokChannel) { f.sim.InjectFault(fl) }
	}
	const exchange = "tt_user/oauth2/token/"
	for name, tc := range map[string]refusal{
		"denied": {
			prepare: consent(simulator.Consent{Error: "access_denied"}),
			result:  oauth.ResultDenied, says: "declined", event: "declined",
		},
		"invalid scope": {
			prepare: func(f *fixture, _ *v1alpha1.TiktokChannel) { f.sim.SetApprovedScopes("user.info.basic") },
			result:  oauth.ResultInvalidScope, says: "spec.scopes of the TiktokApp main", event: "user.info.basic, message.list.read",
		},
		"another error of TikTok": {
			prepare: consent(simulator.Consent{Error: "server_error"}),
			result:  oauth.ResultTikTokRefused, says: "server_error", event: "server_error",
		},
		"hostile error": {
			prepare: consent(simulator.Consent{Error: "server_error"}),
			tamper: func(_ *fixture, u *url.URL) {
				q := u.Query()
				q.Set("error", "<script>alert(1)</script>")
				q.Set("error_description", "\x00line\nbreak "+strings.Repeat("long ", 100))
				q.Set("error_code", "<b>1</b>")
				u.RawQuery = q.Encode()
			},
			result: oauth.ResultTikTokRefused, says: "(unreadable)", event: "(unreadable)",
		},
		"neither code nor error": {
			tamper: func(_ *fixture, u *url.URL) {
				q := u.Query()
				q.Del("code")
				u.RawQuery = q.Encode()
			},
			result: oauth.ResultTikTokRefused, says: "neither a code nor an error", event: "code_missing",
		},
		"scopes missing": {
			prepare: consent(simulator.Consent{DenyScopes: []string{"message.list.send", "message.list.read"}}),
			result:  oauth.ResultScopesMissing, says: "message.list.send", event: "did not grant message.list.read, message.list.send",
			revoked: true,
		},
		"scopes missing, of an account that the channel holds": {
			prepare: func(f *fixture, ch *v1alpha1.TiktokChannel) {
				f.hold(business, ch)
				ch.Status.BusinessID = business
				f.update(ch)
				f.sim.SetConsent(simulator.Consent{DenyScopes: []string{"message.list.send"}})
			},
			result: oauth.ResultScopesMissing, event: "message.list.send", holder: "shop/acme",
		},
		"scopes missing, of an account that the channel has without a reservation": {
			prepare: func(f *fixture, ch *v1alpha1.TiktokChannel) {
				ch.Status.BusinessID = business
				f.update(ch)
				f.sim.SetConsent(simulator.Consent{DenyScopes: []string{"message.list.send"}})
			},
			result: oauth.ResultScopesMissing, event: "message.list.send",
		},
		"scopes missing, of an account that another channel holds": {
			prepare: func(f *fixture, _ *v1alpha1.TiktokChannel) {
				f.hold(business, f.channel("other", "theirs"))
				f.sim.SetConsent(simulator.Consent{DenyScopes: []string{"message.list.send"}})
			},
			result: oauth.ResultScopesMissing, event: "message.list.send", holder: "other/theirs",
		},
		"pinned to another account": {
			prepare: func(f *fixture, ch *v1alpha1.TiktokChannel) {
				ch.Spec.BusinessID = "-biz-2"
				f.update(ch)
			},
			result: oauth.ResultWrongAccount, says: "the account -biz-2", event: "-biz-2", revoked: true,
		},
		"pinned to another account while the person was at TikTok": {
			between: func(f *fixture, ch *v1alpha1.TiktokChannel) {
				ch.Spec.BusinessID = "-biz-2"
				f.update(ch)
			},
			result: oauth.ResultWrongAccount, event: "-biz-2", revoked: true,
		},
		"not pinned, but has an account": {
			prepare: func(f *fixture, ch *v1alpha1.TiktokChannel) {
				ch.Status.BusinessID, ch.Status.Username = "biz-2", "other_shop"
				f.update(ch)
			},
			result: oauth.ResultWrongAccount, says: "@other_shop", event: "@other_shop", revoked: true,
		},
		"not pinned, but its Secret has an account that the status has not seen": {
			prepare: func(f *fixture, ch *v1alpha1.TiktokChannel) {
				f.create(&corev1.Secret{
					ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: ch.TokenSecretName(), Labels: map[string]string{v1alpha1.ChannelLabel: "acme"}},
					Type:       v1alpha1.TokenSecretType,
					Data:       map[string][]byte{"refresh_token": []byte("imported-refresh-token"), "business_id": []byte("biz-2")},
				})
			},
			result: oauth.ResultWrongAccount, says: "biz-2", event: "biz-2", revoked: true,
		},
		"wrong account, which another channel holds": {
			prepare: func(f *fixture, ch *v1alpha1.TiktokChannel) {
				f.hold(business, f.channel("other", "theirs"))
				ch.Spec.BusinessID = "biz-2"
				f.update(ch)
			},
			result: oauth.ResultWrongAccount, event: "biz-2", holder: "other/theirs",
		},
		"in use in another namespace": {
			prepare: func(f *fixture, _ *v1alpha1.TiktokChannel) { f.hold(business, f.channel("other", "theirs")) },
			result:  oauth.ResultAccountInUse, says: "another channel in this cluster", event: "the operator's log names it", holder: "other/theirs",
		},
		"in use in the same namespace": {
			prepare: func(f *fixture, _ *v1alpha1.TiktokChannel) { f.hold(business, f.channel("shop", "theirs")) },
			result:  oauth.ResultAccountInUse, event: "TiktokChannel theirs", holder: "shop/theirs",
		},
		"TikTok answers HTML": {
			prepare: fault(simulator.Fault{Endpoint: exchange, Status: 502}),
			result:  oauth.ResultTikTokUnreachable, says: "Wait a minute", event: "could not be reached",
		},
		"TikTok answers garbage": {
			prepare: fault(simulator.Fault{Endpoint: exchange, Garbage: "truncated"}),
			result:  oauth.ResultTikTokUnreachable, event: "could not be reached",
		},
		"TikTok cuts the connection": {
			prepare: fault(simulator.Fault{Endpoint: exchange, CloseAfterProcessing: true}),
			result:  oauth.ResultTikTokUnreachable, event: "could not be reached",
		},
		"TikTok's own fault": {
			prepare: fault(simulator.Fault{Endpoint: exchange, Code: 51065, Message: "internal"}),
			result:  oauth.ResultTikTokUnreachable, says: "51065", event: "could not be reached",
		},
		"TikTok cannot be dialled": {
			prepare: func(f *fixture, _ *v1alpha1.TiktokChannel) {
				f.app.Spec.Endpoints.API = "http://127.0.0.1:1/"
				f.update(f.app)
			},
			result: oauth.ResultTikTokUnreachable, event: "could not be reached",
		},
		"rate limited": {
			prepare: fault(simulator.Fault{Endpoint: exchange, Code: 40100, Message: "slow down"}),
			result:  oauth.ResultTikTokBusy, says: "Wait five minutes", event: "too many requests",
		},
		"app secret refused": {
			prepare: func(f *fixture, _ *v1alpha1.TiktokChannel) { f.sim.SetAppSecret("rotated-app-secret") },
			result:  oauth.ResultAppRefused, says: "TiktokApp main", event: "TiktokApp main",
		},
		"app not approved": {
			prepare: fault(simulator.Fault{Endpoint: exchange, Code: 40001, Message: "no permission"}),
			result:  oauth.ResultAppRefused, says: "no permission", event: "TiktokApp main",
		},
		"code refused": {
			prepare: fault(simulator.Fault{Endpoint: exchange, Code: 40110, Message: "expired"}),
			result:  oauth.ResultCodeRefused, says: "40110", event: "code",
		},
		"refused for another reason": {
			prepare: fault(simulator.Fault{Endpoint: exchange, Code: 40002, Message: "parameter <b>x</b>"}),
			result:  oauth.ResultTikTokRefused, says: "parameter <b>x</b>", event: "refused to complete",
		},
		"channel deleted meanwhile": {
			between: func(f *fixture, ch *v1alpha1.TiktokChannel) {
				if err := f.client.Delete(f.t.Context(), ch); err != nil {
					f.t.Fatal(err)
				}
			},
			result: oauth.ResultChannelGone,
		},
		"channel authorized meanwhile": {
			between: func(f *fixture, ch *v1alpha1.TiktokChannel) {
				ch.Status.AuthorizationEpoch = 1
				f.update(ch)
			},
			result: oauth.ResultLinkSuperseded,
		},
		"namespace not allowed any more": {
			between: func(f *fixture, _ *v1alpha1.TiktokChannel) {
				f.app.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesNone}
				f.update(f.app)
			},
			result: oauth.ResultNamespaceNotAllowed,
		},
		"app secret taken away": {
			between: func(f *fixture, _ *v1alpha1.TiktokChannel) {
				f.update(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "app"}})
			},
			result: oauth.ResultAppNotReady,
		},
		"token Secret cannot be written": {
			prepare: func(f *fixture, _ *v1alpha1.TiktokChannel) {
				f.failWrite(forbidden, func(o client.Object) bool { _, is := o.(*corev1.Secret); return is })
			},
			result: oauth.ResultSecretUnusable, says: "acme-tiktok-token", event: "acme-tiktok-token", revoked: true,
		},
		"token Secret becomes somebody else's": {
			between: func(f *fixture, ch *v1alpha1.TiktokChannel) {
				f.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: ch.TokenSecretName()}})
			},
			result: oauth.ResultSecretUnusable,
		},
		"API server away before the exchange": {
			between: func(f *fixture, _ *v1alpha1.TiktokChannel) { f.failGet(no, func(client.Object) bool { return true }) },
			result:  oauth.ResultUnavailable,
		},
	} {
		t.Run(name, func(t *testing.T) { testRefusal(t, tc) })
	}
}

func testRefusal(t *testing.T, tc refusal) {
	f := newFixture(t, settings{})
	ch := f.channel("shop", "acme")
	if tc.prepare != nil {
		tc.prepare(f, ch)
	}
	browser := f.browser()
	callback, err := url.Parse(f.begin(browser, f.link(ch, 0)))
	if err != nil {
		t.Fatal(err)
	}
	if tc.between != nil {
		tc.between(f, ch)
	}
	if tc.tamper != nil {
		tc.tamper(f, callback)
	}
	before := f.tokens0(ch)
	p := f.open(browser, callback.String())
	f.expect(p, tc.result, tc.says)
	f.hooks.set(func(h *hooks) { h.get, h.write = nil, nil })
	if after := f.tokens0(ch); after != before {
		t.Errorf("the token Secret changed: %s", after)
	}
	events := f.allEvents()
	if (tc.event == "") != (events == "") || !strings.Contains(events, tc.event) {
		t.Errorf("events %q", events)
	}
	if events != "" && (strings.Count(events, "\n") != 0 || !strings.HasPrefix(events, "shop/acme Warning AuthorizationRefused Authorize ")) {
		t.Errorf("events %q", events)
	}
	if revoked := f.sim.CountCalls("tt_user/oauth2/revoke/") > 0; revoked != tc.revoked {
		t.Errorf("revoked: %t", revoked)
	}
	if got := f.holder(business); got != tc.holder {
		t.Errorf("held by %q", got)
	}
	if tc.holder != "" && !strings.HasPrefix(tc.holder, "shop/") {
		for where, text := range map[string]string{"page": p.body, "event": events} {
			if strings.Contains(text, "theirs") {
				t.Errorf("the %s names the other channel: %s", where, text)
			}
		}
		if tc.result == oauth.ResultAccountInUse && !strings.Contains(f.allLogs(), "other/theirs") {
			t.Error("the log does not name the other channel")
		}
	}
	if strings.Contains(f.allLogs(), "\x00") {
		t.Error("the log holds control characters")
	}
	if n := f.sim.CountCalls("tt_user/oauth2/token/"); n > 1 {
		t.Errorf("the code was sent %d times", n)
	}
	// The same answer again is refused, whatever the first time brought: nothing else would be needed to try codes.
	if tc.result != oauth.ResultUnavailable {
		f.expect(f.open(browser, callback.String()), oauth.ResultStateReused)
	}
	if len(f.results) < 2 || f.results[0] != oauth.ResultRedirected || f.results[1] != tc.result {
		t.Errorf("observed %v", f.results)
	}
}

// tokens0 is the content of the token Secret as text.
func (f *fixture) tokens0(ch *v1alpha1.TiktokChannel) string {
	secret := f.tokensOrNil(ch)
	if secret == nil {
		return ""
	}
	return secret.ResourceVersion
}

// tokensOrNil reads past the hooks.
func (f *fixture) tokensOrNil(ch *v1alpha1.TiktokChannel) *corev1.Secret {
	var get func(client.ObjectKey, client.Object) error
	f.hooks.set(func(h *hooks) { get, h.get = h.get, nil })
	defer f.hooks.set(func(h *hooks) { h.get = get })
	return f.tokens(ch)
}

func (f *fixture) hold(business string, ch *v1alpha1.TiktokChannel) {
	f.t.Helper()
	if err := f.opts.Reservations.Hold(context.Background(), business, ch); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) failWrite(err error, which func(client.Object) bool) {
	f.hooks.set(func(h *hooks) {
		h.write = func(o client.Object) error {
			if which(o) {
				return err
			}
			return nil
		}
	})
}

func TestStates(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(f *fixture, callback *url.URL, browser *http.Client)
		result oauth.Result
	}{
		"expired": {func(f *fixture, _ *url.URL, _ *http.Client) {
			f.clock.SetTime(f.clock.Now().Add(tickets.StateLifetime + 2*time.Minute))
		}, oauth.ResultStateExpired},
		"changed": {func(_ *fixture, u *url.URL, _ *http.Client) {
			u.RawQuery = strings.Replace(u.RawQuery, "state=eyJ", "state=eyI", 1)
		}, oauth.ResultStateInvalid},
		"missing": {func(_ *fixture, u *url.URL, _ *http.Client) { u.RawQuery = "code=x" }, oauth.ResultStateInvalid},
		"a link": {func(f *fixture, u *url.URL, _ *http.Client) {
			link, err := url.Parse(f.link(&v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "acme", UID: "uid-shop-acme"}}, 0))
			if err != nil {
				f.t.Fatal(err)
			}
			u.RawQuery = url.Values{"code": {"x"}, "state": {link.Query().Get("link")}}.Encode()
		}, oauth.ResultStateInvalid},
		"another browser": {func(_ *fixture, _ *url.URL, b *http.Client) { b.Jar = nil }, oauth.ResultBrowserMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, settings{})
			ch := f.channel("shop", "acme")
			browser := f.browser()
			callback, err := url.Parse(f.begin(browser, f.link(ch, 0)))
			if err != nil {
				t.Fatal(err)
			}
			calls := f.sim.CountCalls("")
			tc.change(f, callback, browser)
			f.expect(f.open(browser, callback.String()), tc.result)
			if f.sim.CountCalls("") != calls || f.tokens(ch) != nil || f.allEvents() != "" {
				t.Error("TikTok was called, a token stored or an event raised")
			}
		})
	}
}

// TestAnotherBrowserSpoilsNothing: whoever sees the address of a callback can neither use it nor use it up. A lax cookie, which others could
// plant, does not stand in for the strict one.
func TestAnotherBrowserSpoilsNothing(t *testing.T) {
	f := newFixture(t, settings{})
	ch := f.channel("shop", "acme")
	browser := f.browser()
	callback := f.begin(browser, f.link(ch, 0))
	at, err := url.Parse(callback)
	if err != nil {
		t.Fatal(err)
	}
	var value string
	for _, c := range browser.Jar.Cookies(&url.URL{Scheme: "https", Host: at.Host, Path: "/"}) {
		value = c.Value
	}
	if value == "" {
		t.Fatal("no cookie")
	}
	f.secret("cookie", value)
	stranger := f.browser()
	f.expect(f.open(stranger, callback), oauth.ResultBrowserMismatch, "cookies")
	f.redirect(stranger, http.MethodGet, f.link(ch, 0)) // has a cookie of its own now
	f.expect(f.open(stranger, callback), oauth.ResultBrowserMismatch)
	planted := newRequest(t, http.MethodGet, callback)
	planted.AddCookie(&http.Cookie{Name: oauth.LoopbackCookieName, Value: value})
	f.expect(f.do(&http.Client{Transport: browser.Transport}, planted), oauth.ResultBrowserMismatch)
	head := f.do(browser, newRequest(t, http.MethodHead, callback))
	if head.status != http.StatusMethodNotAllowed {
		t.Errorf("HEAD: %d", head.status)
	}
	f.expect(f.open(browser, callback), oauth.ResultGranted)
}

// TestTwoTabs: one browser may authorize two channels at once.
func TestTwoTabs(t *testing.T) {
	f := newFixture(t, settings{})
	f.sim.AddBusiness(simulator.Business{OpenID: "biz-2", Username: "second"})
	browser := f.browser()
	one := f.begin(browser, f.link(f.channel("shop", "one"), 0))
	f.sim.SetConsent(simulator.Consent{Business: "biz-2"})
	two := f.begin(browser, f.link(f.channel("shop", "two"), 0))
	f.expect(f.open(browser, one), oauth.ResultGranted, "@acme", "shop/one")
	f.expect(f.open(browser, two), oauth.ResultGranted, "@second", "shop/two")
}

func TestUsesCannotBeAsked(t *testing.T) {
	f := newFixture(t, settings{change: func(o *oauth.Options) { o.Uses = brokenUses{} }})
	ch := f.channel("shop", "acme")
	f.expect(f.open(f.browser(), f.link(ch, 0)), oauth.ResultUnavailable)
	if f.sim.CountCalls("") != 0 || f.tokens(ch) != nil {
		t.Error("went on without knowing whether the state was used")
	}
}

type brokenUses struct{}

func (brokenUses) UseOnce(context.Context, string, time.Time) (bool, error) {
	return true, errors.New("the event log is away")
}
