package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// tour goes through the life of a channel and checks every step.
func tour(ctx context.Context, s *stage) error {
	t := &guide{stage: s}
	for i, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"Create a TiktokApp and a TiktokChannel", t.create},
		{"Authorize the channel in a browser, at the simulator's consent page", t.authorize},
		{"A TikTok user writes; the message arrives at the sink", t.receive("Hello, is this still available?")},
		{"The access token nears its end and is refreshed", t.refresh},
		{"The business disconnects the app in TikTok", t.disconnect},
		{"A person authorizes again; the channel keeps its history", t.authorize},
		{"And messages arrive again", t.receive(question)},
		{"An application replies, without a token of TikTok's; the user reads it", t.reply},
		{"A burst of 1,000 messages in 50 conversations; the sink is stopped and started in between", t.burst},
	} {
		fmt.Printf("\n%d. %s\n", i+1, step.title)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, step.title, err)
		}
	}
	return nil
}

type guide struct {
	*stage
	shown map[string]string
}

func (g *guide) create(ctx context.Context) error {
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "demo-app"},
			StringData: map[string]string{v1alpha1.DefaultAppSecretKey: appSecret},
		},
		&v1alpha1.TiktokApp{
			ObjectMeta: metav1.ObjectMeta{Name: "demo"},
			Spec: v1alpha1.TiktokAppSpec{
				AppID: "sim-app", PublicURL: g.public,
				SecretRef: v1alpha1.AppSecretReference{Namespace: operatorNamespace, Name: "demo-app"},
				Endpoints: &v1alpha1.AppEndpoints{API: g.simulator + "/open_api/v1.3/", Authorize: g.simulator + "/v2/auth/authorize"},
			},
		},
		&v1alpha1.TiktokChannel{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "demo"},
			Spec: v1alpha1.TiktokChannelSpec{
				AppRef: v1alpha1.TiktokAppReference{Name: "demo"}, Sinks: []v1alpha1.Sink{{Name: "example", URI: g.sink.url()}},
			},
		},
	} {
		err := g.k8s.Create(ctx, object)
		if client.IgnoreAlreadyExists(err) != nil {
			return fmt.Errorf("creating %T: %w", object, err)
		}
		if err == nil {
			g.closers = append(g.closers, func() error {
				// On somebody's own cluster nothing may stay behind; the processes still run and let the objects go.
				return client.IgnoreNotFound(g.k8s.Delete(context.WithoutCancel(ctx), object))
			})
		}
	}
	g.closers = append(g.closers, func() error { return g.removed(context.WithoutCancel(ctx)) })
	app := &v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: "demo"}}
	err := program.Wait(ctx, time.Minute, "the TiktokApp to be Ready", func() (bool, error) {
		if err := g.k8s.Get(ctx, client.ObjectKeyFromObject(app), app); err != nil {
			return false, err
		}
		return meta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ReadyCondition), nil
	})
	if err != nil {
		return err
	}
	say("TiktokApp demo is Ready; its webhook is registered at %s", app.Status.RegisteredCallbackURL)
	_, err = g.until(ctx, "an authorization link", func(ch *v1alpha1.TiktokChannel) bool { return ch.Status.AuthorizationURL != "" })
	return err
}

// removed deletes what the tour made, in the order in which it lets go.
func (g *guide) removed(ctx context.Context) error {
	ch := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "demo"}}
	if err := client.IgnoreNotFound(g.k8s.Delete(ctx, ch)); err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: ch.TokenSecretName()}}
	err := program.Wait(ctx, time.Minute, "the channel to go", func() (bool, error) {
		err := g.k8s.Get(ctx, client.ObjectKeyFromObject(ch), ch)
		return err != nil && client.IgnoreNotFound(err) == nil, client.IgnoreNotFound(err)
	})
	if err != nil {
		return err
	}
	if err := client.IgnoreNotFound(g.k8s.Delete(ctx, secret)); err != nil {
		return err
	}
	app := &v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: "demo"}}
	if err := client.IgnoreNotFound(g.k8s.Delete(ctx, app)); err != nil {
		return err
	}
	return program.Wait(ctx, time.Minute, "the app to go", func() (bool, error) {
		err := g.k8s.Get(ctx, client.ObjectKeyFromObject(app), app)
		return err != nil && client.IgnoreNotFound(err) == nil, client.IgnoreNotFound(err)
	})
}

var resultMeta = regexp.MustCompile(`name="tiktok-operator:result" content="([a-z_]+)"`)

// authorize does what a person does: open the link in a browser and consent.
func (g *guide) authorize(ctx context.Context) error {
	status, result, err := g.browse(ctx)
	if err != nil {
		return err
	}
	if result != "granted" {
		return fmt.Errorf("the page that came back (HTTP %d) does not say that access was granted but %q", status, result)
	}
	say("The browser shows: granted")
	_, err = g.until(ctx, "the channel to be Ready", func(ch *v1alpha1.TiktokChannel) bool {
		return meta.IsStatusConditionTrue(ch.Status.Conditions, v1alpha1.ReadyCondition) && ch.Status.BusinessID != ""
	})
	return err
}

// browse opens the channel's link in a fresh browser. The result is what the last page says came of it.
func (g *guide) browse(ctx context.Context) (status int, result string, err error) {
	ch, err := g.until(ctx, "an authorization link", func(ch *v1alpha1.TiktokChannel) bool { return ch.Status.AuthorizationURL != "" })
	if err != nil {
		return 0, "", err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return 0, "", fmt.Errorf("making a cookie jar: %w", err)
	}
	status, page, err := get(ctx, &http.Client{Jar: jar, Timeout: time.Minute, Transport: g.browser}, ch.Status.AuthorizationURL)
	if err != nil {
		return 0, "", fmt.Errorf("opening the link: %w", err)
	}
	if found := resultMeta.FindStringSubmatch(page); len(found) == 2 {
		result = found[1]
	}
	return status, result, nil
}

func (g *guide) receive(text string) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := post(ctx, g.simulator+"/admin/events", fmt.Sprintf(`{"text":%q,"user":"alice"}`, text)); err != nil {
			return err
		}
		return program.Wait(ctx, time.Minute, "the message to arrive at the sink", func() (bool, error) { return g.sink.got(text), nil })
	}
}

func (g *guide) refresh(ctx context.Context) error {
	ch, err := g.until(ctx, "the channel", func(*v1alpha1.TiktokChannel) bool { return true })
	if err != nil {
		return err
	}
	first := ch.Status.LastRefreshTime
	say("The token lives %s; the next refresh is due at %s", g.tokenLife, ch.Status.NextRefreshTime.Local().Format("15:04:05"))
	ch, err = g.until(ctx, "a refresh", func(ch *v1alpha1.TiktokChannel) bool { return first.Before(ch.Status.LastRefreshTime) })
	if err != nil {
		return err
	}
	say("Refreshed: the token now lives until %s", ch.Status.AccessTokenExpiresAt.Local().Format("15:04:05"))
	return nil
}

func (g *guide) disconnect(ctx context.Context) error {
	if err := post(ctx, g.simulator+"/admin/tokens/revoke", `{"business":"biz-0001"}`); err != nil {
		return err
	}
	_, err := g.until(ctx, "ReauthorizationRequired", func(ch *v1alpha1.TiktokChannel) bool {
		return meta.IsStatusConditionTrue(ch.Status.Conditions, v1alpha1.ReauthorizationRequiredCondition)
	})
	return err
}

// until polls the channel, and prints its conditions as they turn.
func (g *guide) until(ctx context.Context, what string, done func(*v1alpha1.TiktokChannel) bool) (*v1alpha1.TiktokChannel, error) {
	ch := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "demo"}}
	err := program.Wait(ctx, time.Minute+g.tokenLife, what, func() (bool, error) {
		if err := g.k8s.Get(ctx, client.ObjectKeyFromObject(ch), ch); err != nil {
			return false, err
		}
		g.show(ch)
		return done(ch), nil
	})
	return ch, err
}

func (g *guide) show(ch *v1alpha1.TiktokChannel) {
	if g.shown == nil {
		g.shown = map[string]string{}
	}
	for _, c := range ch.Status.Conditions {
		now := fmt.Sprintf("%s (%s)", c.Status, c.Reason)
		if g.shown[c.Type] != now {
			say("      %-24s %s", c.Type, now)
		}
		g.shown[c.Type] = now
	}
}
