package oauth_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
)

// redirect opens a link without following it.
func (f *fixture) redirect(browser *http.Client, method, link string) *http.Response {
	f.t.Helper()
	stopping := *browser
	stopping.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := stopping.Do(newRequest(f.t, method, link))
	if err != nil {
		f.t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

func TestStartSendsToTikTok(t *testing.T) {
	for name, tc := range map[string]struct {
		settings settings
		epoch    int64
		business string
		cookie   string
	}{
		"first authorization":       {settings{}, 0, "", oauth.CookieName},
		"authorized before":         {settings{}, 2, "biz-0001", oauth.CookieName},
		"held a business":           {settings{}, 0, "biz-0001", oauth.CookieName},
		"development on loopback":   {settings{plain: true}, 0, "", oauth.LoopbackCookieName},
		"path, kept by the ingress": {settings{prefix: "/tt"}, 0, "", oauth.CookieName},
		"path, stripped":            {settings{prefix: "/tt", strip: true}, 0, "", oauth.CookieName},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, tc.settings)
			ch := f.channel("shop", "acme", func(c *v1alpha1.TiktokChannel) {
				c.Status.AuthorizationEpoch, c.Status.BusinessID = tc.epoch, tc.business
			})
			resp := f.redirect(f.browser(), http.MethodGet, f.link(ch, tc.epoch))
			if resp.StatusCode != http.StatusFound {
				t.Fatalf("status %d", resp.StatusCode)
			}
			location, err := resp.Location()
			if err != nil {
				t.Fatal(err)
			}
			q := location.Query()
			for key, want := range map[string]string{
				"client_key": "sim-app", "response_type": "code", "scope": strings.Join(scopes, ","), "disable_auto_auth": "1",
				"redirect_uri": f.app.RedirectURL(),
			} {
				if q.Get(key) != want {
					t.Errorf("%s is %q, want %q", key, q.Get(key), want)
				}
			}
			if !strings.HasPrefix(location.String(), f.app.AuthorizeEndpoint()) {
				t.Errorf("sent to %s", location)
			}
			checkHeaders(t, page{header: resp.Header})
			cookies := resp.Cookies()
			if len(cookies) != 1 {
				t.Fatalf("cookies %v", cookies)
			}
			c := cookies[0]
			if c.Name != tc.cookie || c.Secure == tc.settings.plain || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" ||
				c.MaxAge < int(tickets.StateLifetime.Seconds()) || len(c.Value) < 26 {
				t.Errorf("cookie %s", c)
			}
			if state := q.Get("state"); strings.Contains(state, c.Value) {
				t.Error("the state holds the cookie")
			}
			f.secret("cookie", c.Value)
			f.secret("state", q.Get("state"))
		})
	}
}

// TestStartIsIdempotent: whatever a scanner or a preview does with a link, the person's own visit succeeds.
func TestStartIsIdempotent(t *testing.T) {
	f := newFixture(t, settings{})
	link := f.link(f.channel("shop", "acme"), 0)
	for range 3 {
		for _, method := range []string{http.MethodHead, http.MethodGet} {
			if resp := f.redirect(f.browser(), method, link); resp.StatusCode != http.StatusFound {
				t.Fatalf("%s: %s", method, resp.Status)
			}
		}
	}
	browser := f.browser()
	first := f.redirect(browser, http.MethodGet, link).Cookies()[0]
	second := f.redirect(browser, http.MethodGet, link).Cookies()[0]
	if first.Value != second.Value {
		t.Error("a second click changed the browser's cookie")
	}
	f.expect(f.open(browser, link), oauth.ResultGranted)
}

func TestStartReplacesAnImplausibleCookie(t *testing.T) {
	f := newFixture(t, settings{})
	req := newRequest(t, http.MethodGet, f.link(f.channel("shop", "acme"), 0))
	req.AddCookie(&http.Cookie{Name: oauth.CookieName, Value: "chosen-by-somebody"})
	browser := f.browser()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if c := resp.Cookies(); len(c) != 1 || c[0].Value == "chosen-by-somebody" {
		t.Fatalf("cookies %v", c)
	}
}

func TestStartKeepsAPortalsParameters(t *testing.T) {
	f := newFixture(t, settings{})
	q := url.Values{"scope": {"user.info.basic,message.list.read"}, "redirect_uri": {f.app.RedirectURL()}, "portal": {"1"}}
	f.app.Spec.Endpoints.Authorize += "?" + q.Encode()
	f.app.Spec.Scopes = []string{"user.info.basic"}
	f.update(f.app)
	ch := f.channel("shop", "acme")
	browser := f.browser()
	f.expect(f.open(browser, f.link(ch, 0)), oauth.ResultGranted)
	if got := string(f.tokens(ch).Data["scope"]); got != "user.info.basic,message.list.read" {
		t.Errorf("scopes %s", got)
	}
	f.sim.SetApprovedScopes("user.info.basic")
	f.expect(f.open(browser, f.link(ch, 1)), oauth.ResultInvalidScope, "message.list.read")
}

func TestStartRefuses(t *testing.T) {
	no := errors.New("connection refused")
	for name, tc := range map[string]struct {
		result oauth.Result
		says   string
		// link changes the link, or everything else.
		link func(f *fixture, ch *v1alpha1.TiktokChannel) string
	}{
		"no link": {oauth.ResultLinkInvalid, "not complete", func(f *fixture, _ *v1alpha1.TiktokChannel) string {
			return f.app.AuthorizationStartURL()
		}},
		"cut link": {oauth.ResultLinkInvalid, "Copy the whole link", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			link := f.link(ch, 0)
			return link[:len(link)-5]
		}},
		"state as link": {oauth.ResultLinkInvalid, "", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			state, err := f.keys.SignState(tickets.State{
				Link: tickets.Link{Namespace: ch.Namespace, Name: ch.Name, UID: string(ch.UID)}, ID: "1", Browser: "b",
			}, f.clock.Now())
			if err != nil {
				f.t.Fatal(err)
			}
			return f.app.AuthorizationStartURL() + "?link=" + state
		}},
		"expired": {oauth.ResultLinkExpired, "24 hours", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			link := f.link(ch, 0)
			f.clock.SetTime(f.clock.Now().Add(tickets.LinkLifetime + 2*time.Minute))
			return link
		}},
		"of an earlier epoch": {oauth.ResultLinkSuperseded, "shop/acme", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			ch.Status.AuthorizationEpoch = 1
			f.update(ch)
			return f.link(ch, 0)
		}},
		"superseded by the Secret, which the status has not seen yet": {oauth.ResultLinkSuperseded, "", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			link := f.link(ch, 0)
			f.expect(f.open(f.browser(), link), oauth.ResultGranted)
			return link
		}},
		"no such channel": {oauth.ResultChannelGone, "shop/gone", func(f *fixture, _ *v1alpha1.TiktokChannel) string {
			return f.linkFor(tickets.Link{Namespace: "shop", Name: "gone", UID: "x"})
		}},
		"another channel of that name": {oauth.ResultChannelGone, "", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			return f.linkFor(tickets.Link{Namespace: ch.Namespace, Name: ch.Name, UID: "an earlier one's"})
		}},
		"channel being deleted": {oauth.ResultChannelGone, "", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			if err := f.client.Delete(f.t.Context(), ch); err != nil {
				f.t.Fatal(err)
			}
			return f.link(ch, 0)
		}},
		"no app": {oauth.ResultAppNotReady, "TiktokApp main", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			if err := f.client.Delete(f.t.Context(), f.app); err != nil {
				f.t.Fatal(err)
			}
			return f.link(ch, 0)
		}},
		"no app secret": {oauth.ResultAppNotReady, "kubectl describe tiktokapp main", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			f.update(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "app"}})
			return f.link(ch, 0)
		}},
		"app refused by TikTok": {oauth.ResultAppNotReady, "CredentialsValid", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			meta.SetStatusCondition(&f.app.Status.Conditions, metav1.Condition{
				Type: v1alpha1.CredentialsValidCondition, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonCredentialsRefused,
			})
			f.update(f.app)
			return f.link(ch, 0)
		}},
		"no scopes": {oauth.ResultAppNotReady, "", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			f.app.Spec.Scopes = nil
			f.update(f.app)
			return f.link(ch, 0)
		}},
		"namespace not allowed": {oauth.ResultNamespaceNotAllowed, "namespace shop", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			f.app.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesNone}
			f.update(f.app)
			return f.link(ch, 0)
		}},
		"namespace cannot be read": {oauth.ResultUnavailable, "", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			f.app.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{}}
			f.update(f.app)
			return f.link(ch, 0)
		}},
		"foreign token Secret": {oauth.ResultSecretUnusable, "acme-tiktok-token", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			f.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "acme-tiktok-token"}})
			return f.link(ch, 0)
		}},
		"API server away": {oauth.ResultUnavailable, "Wait a minute", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			f.hooks.set(func(h *hooks) { h.get = func(client.ObjectKey, client.Object) error { return no } })
			return f.link(ch, 0)
		}},
		"app cannot be read": {oauth.ResultUnavailable, "", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			f.failGet(no, func(o client.Object) bool { _, is := o.(*v1alpha1.TiktokApp); return is })
			return f.link(ch, 0)
		}},
		"app secret cannot be read": {oauth.ResultUnavailable, "", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			f.hooks.set(func(h *hooks) {
				h.get = func(key client.ObjectKey, _ client.Object) error {
					if key.Namespace == "platform" {
						return no
					}
					return nil
				}
			})
			return f.link(ch, 0)
		}},
		"no keys yet": {oauth.ResultUnavailable, "", func(f *fixture, ch *v1alpha1.TiktokChannel) string {
			err := f.client.Delete(f.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: tickets.SecretName}})
			if err != nil {
				f.t.Fatal(err)
			}
			return f.link(ch, 0)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, settings{})
			link := tc.link(f, f.channel("shop", "acme"))
			before := f.sim.CountCalls("")
			p := f.open(f.browser(), link)
			f.expect(p, tc.result, tc.says)
			if len(p.header["Set-Cookie"]) != 0 {
				t.Error("a cookie was set")
			}
			if (tc.result == oauth.ResultUnavailable) != (p.header.Get("Retry-After") != "") {
				t.Errorf("Retry-After %q", p.header.Get("Retry-After"))
			}
			if f.sim.CountCalls("") != before || f.allEvents() != "" {
				t.Errorf("TikTok was called, or an event raised: %s", f.allEvents())
			}
		})
	}
}

func (f *fixture) failGet(err error, which func(client.Object) bool) {
	f.hooks.set(func(h *hooks) {
		h.get = func(_ client.ObjectKey, o client.Object) error {
			if which(o) {
				return err
			}
			return nil
		}
	})
}

func TestPathsAndMethods(t *testing.T) {
	f := newFixture(t, settings{})
	for _, tc := range []struct {
		method, path string
		result       oauth.Result
	}{
		{http.MethodGet, "/", oauth.ResultNotFound},
		{http.MethodGet, "/oauth", oauth.ResultNotFound},
		{http.MethodGet, "/oauth/start/x", oauth.ResultNotFound},
		{http.MethodGet, "/oauth/done", oauth.ResultNotFound},
		{http.MethodGet, "/oauth/done?receipt=x", oauth.ResultNotFound},
		{http.MethodGet, "/oauth/start/", oauth.ResultLinkInvalid},
		{http.MethodGet, "/any/path/oauth/start", oauth.ResultLinkInvalid},
		{http.MethodGet, "/oauth/callback", oauth.ResultStateInvalid},
		{http.MethodGet, "/oauth/callback/", oauth.ResultStateInvalid},
		{http.MethodPost, "/oauth/start", oauth.ResultMethodNotAllowed},
		{http.MethodPost, "/oauth/callback/", oauth.ResultMethodNotAllowed},
		{http.MethodDelete, "/oauth/done", oauth.ResultMethodNotAllowed},
	} {
		t.Run(tc.method+" "+tc.path, func(t *testing.T) {
			p := f.do(f.browser(), newRequest(t, tc.method, f.server.URL+tc.path))
			f.expect(p, tc.result)
			if tc.result == oauth.ResultMethodNotAllowed && p.header.Get("Allow") != http.MethodGet {
				t.Errorf("Allow: %s", p.header.Get("Allow"))
			}
		})
	}
	for path, want := range map[string]bool{
		"/oauth/start": true, "/x/oauth/callback/": true, "/oauth/done": true, "/webhooks/main": false, "/oauth/other": false, "/": false, "": false,
	} {
		if oauth.Handles(path) != want {
			t.Errorf("Handles(%q) is %t", path, !want)
		}
	}
}

// TestStrangersReachNobody: what is not signed here causes no read for itself, and no TikTok call.
func TestStrangersReachNobody(t *testing.T) {
	f := newFixture(t, settings{})
	f.hooks.set(func(h *hooks) { h.reads = 0 })
	for range 100 {
		f.expect(f.open(f.browser(), f.server.URL+"/oauth/start?link=e30.e30.e30"), oauth.ResultLinkInvalid)
		f.expect(f.open(f.browser(), f.server.URL+"/oauth/callback/?code=1&state=e30.e30.e30"), oauth.ResultStateInvalid)
	}
	f.hooks.set(func(h *hooks) {
		if h.reads > 1 { // of the keys
			t.Errorf("%d reads", h.reads)
		}
	})
	if f.sim.CountCalls("") != 0 || f.allEvents() != "" {
		t.Error("TikTok was called, or an event raised")
	}
}

func TestKeysAreReadAgainAfterARotation(t *testing.T) {
	f := newFixture(t, settings{})
	ch := f.channel("shop", "acme")
	before := f.link(ch, 0)
	f.redirect(f.browser(), http.MethodGet, before) // the keys are cached now
	key := client.ObjectKey{Namespace: operatorNamespace, Name: tickets.SecretName}
	var secret corev1.Secret
	if err := f.client.Get(t.Context(), key, &secret); err != nil {
		t.Fatal(err)
	}
	secret.Annotations = map[string]string{v1alpha1.RotateRequestedAtAnnotation: "1"}
	f.update(&secret)
	keys, err := tickets.Ensure(t.Context(), f.client, key, f.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	f.keys = keys
	f.clock.SetTime(f.clock.Now().Add(3 * time.Second))
	for name, link := range map[string]string{"before": before, "after": f.link(ch, 0)} {
		if resp := f.redirect(f.browser(), http.MethodGet, link); resp.StatusCode != http.StatusFound {
			t.Errorf("a link made %s the rotation: %s", name, resp.Status)
		}
	}
}

func TestNewNeedsItsOptions(t *testing.T) {
	if _, err := oauth.New(oauth.Options{}); err == nil {
		t.Fatal("made without options")
	}
}
