package controllers

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// TestCredentialsGoWrong: two channels are due for a refresh when their app's secret is no good. The app says so; the channels ask nobody to
// authorize again, and go on by themselves when the secret is set right.
func TestCredentialsGoWrong(t *testing.T) {
	const key, previous = v1alpha1.DefaultAppSecretKey, v1alpha1.PreviousAppSecretKey
	accepted := map[string]string{key: "sim-secret"}
	for name, c := range map[string]struct {
		wrong, mend func(*appBench)
		reason      string
		words       []string
		asked       bool          // TikTok can be asked at all
		mendedIn    time.Duration // how long it takes at most to notice that the secret is right
	}{
		"no Secret": {
			wrong:  func(b *appBench) { b.put(nil) },
			mend:   func(b *appBench) { b.put(accepted) },
			reason: v1alpha1.ReasonSecretNotFound, words: []string{"does not exist: create it with the app secret under the key \"app_secret\""},
			mendedIn: pollAppSecret,
		},
		"no key": {
			wrong:  func(b *appBench) { b.put(map[string]string{"app-secret": "sim-secret"}) },
			mend:   func(b *appBench) { b.put(accepted) },
			reason: v1alpha1.ReasonSecretNotFound, words: []string{"has no key \"app_secret\", or it is empty: put the app secret there"},
			mendedIn: pollAppSecret,
		},
		"empty value": {
			wrong:  func(b *appBench) { b.put(map[string]string{key: "\n"}) },
			mend:   func(b *appBench) { b.put(accepted) },
			reason: v1alpha1.ReasonSecretNotFound, words: []string{"has no key \"app_secret\", or it is empty: put the app secret there"},
			mendedIn: pollAppSecret,
		},
		"wrong secret": {
			wrong:  func(b *appBench) { b.put(map[string]string{key: "another app's"}) },
			mend:   func(b *appBench) { b.put(accepted) },
			reason: v1alpha1.ReasonCredentialsRefused, asked: true, mendedIn: pollAppSecret,
		},
		"rotated in the Secret only": {
			wrong:  func(b *appBench) { b.put(map[string]string{key: "new", previous: "sim-secret"}) },
			mend:   func(b *appBench) { b.sim.SetAppSecret("new") },
			reason: v1alpha1.ReasonCredentialsRefused, asked: true, mendedIn: maxAppRecheck,
		},
		"rotated at TikTok only": {
			wrong:  func(b *appBench) { b.sim.SetAppSecret("new") },
			mend:   func(b *appBench) { b.put(map[string]string{key: "new", previous: "sim-secret"}) },
			reason: v1alpha1.ReasonCredentialsRefused, asked: true, mendedIn: pollAppSecret,
		},
		"switched off in the portal": {
			wrong:  func(b *appBench) { b.sim.SetAppEnabled(false) },
			mend:   func(b *appBench) { b.sim.SetAppEnabled(true) },
			reason: v1alpha1.ReasonCredentialsRefused, words: []string{"The app is disabled"}, asked: true, mendedIn: maxAppRecheck,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := healthy(t)
			channels := []*v1alpha1.TiktokChannel{b.connect(b.name+"-1", "one"), b.connect(b.name+"-2", "two")}
			b.clock.Step(17 * time.Hour)
			c.wrong(b)
			b.forgetCounts()

			long := 3 * time.Minute
			if c.asked {
				long = 11 * time.Minute
			}
			b.run(long, channels[0], channels[1], b.app)
			words := c.words
			if c.asked {
				words = append(words, "Check spec.appID, the app secret and the app's state in TikTok's developer portal",
					"No business needs to authorize again")
			}
			b.want(v1alpha1.CredentialsValidCondition, metav1.ConditionFalse, c.reason, words...)
			b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, c.reason, words...)
			b.want(v1alpha1.WebhookRegisteredCondition, metav1.ConditionFalse, c.reason)
			for _, ch := range channels {
				b.wantOf(ch, v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
			}
			b.announced(v1alpha1.ReasonCredentialsAccepted, 0)
			b.announced(c.reason, 1, words...)
			if c.asked {
				b.calls(refreshEndpoint, 1) // the first channel's, and then none
				b.backsOff(long)
			} else {
				b.calls("", 0)
			}

			c.mend(b)
			b.forgetCounts()
			b.run(c.mendedIn+time.Second, b.app, channels[0], channels[1])
			b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			b.announced(v1alpha1.ReasonCredentialsAccepted, 1)
			b.announced(c.reason, 0)
			b.absent(v1alpha1.StalledCondition, v1alpha1.ReconcilingCondition)
			b.calls(refreshEndpoint, 2)
			for _, ch := range channels {
				b.wantOf(ch, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
				b.wantOf(ch, v1alpha1.TokenFreshCondition, metav1.ConditionTrue, v1alpha1.ReasonTokenFresh)
			}
		})
	}
}

// mayReadNothing has the operator read Secrets as somebody without a Role.
func (b *appBench) mayReadNothing() {
	b.t.Helper()
	config := rest.CopyConfig(restConfig)
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:operator:manager"}
	reader, err := client.New(config, client.Options{Scheme: b.k8s.Scheme()})
	if err != nil {
		b.t.Fatal(err)
	}
	b.r.Apps = appclient.New(appclient.Options{Reader: reader, Clock: b.clock, HTTPClient: b.network.client()})
}

// TestSecretThatMayNotBeRead: the operator serves some namespaces only, and the app's Secret is elsewhere.
func TestSecretThatMayNotBeRead(t *testing.T) {
	b := newAppBench(t)
	b.mayReadNothing()
	b.run(time.Minute, b.app)
	for _, condition := range []string{v1alpha1.ReadyCondition, v1alpha1.CredentialsValidCondition} {
		b.want(condition, metav1.ConditionFalse, v1alpha1.ReasonSecretNotReadable, "operator/"+b.name, "watchNamespaces")
	}
	b.want(v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ReasonSecretNotReadable)
	b.announced(v1alpha1.ReasonSecretNotReadable, 1)
	if observed := b.status().ObservedGeneration; observed != b.app.Generation {
		t.Errorf("observedGeneration %d", observed)
	}
	b.restart()
	b.run(pollAppSecret, b.app)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

// TestRefusalIsAnnouncedOnce: not again while it lasts, nor after a restart, nor while TikTok is away in between, nor when a write met a conflict.
func TestRefusalIsAnnouncedOnce(t *testing.T) {
	const twoChecks = 2*checkAppEvery + time.Minute
	b := healthy(t)
	b.sim.SetAppSecret("new")
	b.clock.Step(checkAppEvery)
	conflicts := 0
	b.writes.failWith(func(kind string) error {
		if kind != "TiktokApp/status" || conflicts > 1 {
			return nil
		}
		conflicts++
		return conflict("tiktokapps", b.name)
	})
	b.pass()
	b.announced(v1alpha1.ReasonCredentialsRefused, 0) // nobody can see it yet
	b.run(twoChecks, b.app)
	if conflicts != 2 {
		t.Errorf("%d conflicts, want 2", conflicts)
	}
	b.announced(v1alpha1.ReasonCredentialsRefused, 1, "TikTok refuses the app (")
	b.forgetCounts()

	b.restart()
	b.run(twoChecks, b.app)
	b.network.silent = true
	b.run(twoChecks, b.app)
	b.network.silent = false
	b.run(twoChecks, b.app)
	b.want(v1alpha1.CredentialsValidCondition, metav1.ConditionFalse, v1alpha1.ReasonCredentialsRefused)
	b.announced(v1alpha1.ReasonCredentialsRefused, 0)

	b.put(nil) // another fault is other news
	b.run(twoChecks, b.app)
	b.announced(v1alpha1.ReasonSecretNotFound, 1)
}

// announced checks how many events of a reason there were since the counts were forgotten, each with these words. It takes none away.
func (b *appBench) announced(reason string, want int, words ...string) {
	b.t.Helper()
	all := b.drain()
	n := 0
	for e := range strings.SplitSeq(all, "\n") {
		if e == "" {
			continue
		}
		b.events <- e
		_, after, _ := strings.Cut(e, " ")
		if !strings.HasPrefix(after, reason+" ") {
			continue
		}
		n++
		if bad := strings.HasPrefix(e, "Warning ") == (reason == v1alpha1.ReasonCredentialsAccepted); bad {
			b.t.Errorf("the event %q is of the wrong type", e)
		}
		for _, w := range words {
			if !strings.Contains(e, w) {
				b.t.Errorf("the event %q lacks %q", e, w)
			}
		}
	}
	if n != want {
		b.t.Fatalf("%d events %s, want %d; all: %s", n, reason, want, all)
	}
}

// backsOff checks that TikTok was asked for the webhook, in the time since the first question, with pauses that double from 10 s to 5 min.
func (b *appBench) backsOff(since time.Duration) {
	b.t.Helper()
	var got, want []time.Duration
	calls := b.sim.Calls(listEndpoint)
	for i := range calls {
		got = append(got, calls[i].Time.Sub(calls[0].Time))
	}
	for at, pause := time.Duration(0), 10*time.Second; at <= since; at, pause = at+pause, min(2*pause, 5*time.Minute) {
		want = append(want, at)
	}
	if !slices.Equal(got, want) {
		b.t.Fatalf("TikTok was asked after %s, want %s", got, want)
	}
}

// TestSuspicionStopsTheChannels: one refusal is enough to keep all channels of an app from calling until TikTok has answered the app.
func TestSuspicionStopsTheChannels(t *testing.T) {
	b := healthy(t)
	first, second := b.connect(b.name+"-1", "one"), b.connect(b.name+"-2", "two")
	b.clock.Step(17 * time.Hour)
	b.pass() // TikTok accepted the app a moment ago
	b.forgetCounts()
	b.sim.InjectFault(simulator.Fault{Endpoint: refreshEndpoint, Code: 40101, Times: 1})
	b.sim.InjectFault(simulator.Fault{Endpoint: listEndpoint, Status: 502, Times: 2})

	b.run(9*time.Second, first, second, b.app)
	b.calls("", 1) // the refusal; it is too soon to ask about the app
	b.run(time.Second, first, second, b.app)
	b.calls(listEndpoint, 1) // and it does not answer
	b.run(29*time.Second, first, second, b.app)
	b.calls(refreshEndpoint, 1)
	b.calls(listEndpoint, 2)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	for _, ch := range []*v1alpha1.TiktokChannel{first, second} {
		b.wantOf(ch, v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	}

	b.run(time.Minute, first, second, b.app)
	b.calls(listEndpoint, 3) // it answers, and the app is good
	b.calls(refreshEndpoint, 3)
	b.wantOf(first, v1alpha1.TokenFreshCondition, metav1.ConditionTrue, v1alpha1.ReasonTokenFresh)
	b.wantOf(second, v1alpha1.TokenFreshCondition, metav1.ConditionTrue, v1alpha1.ReasonTokenFresh)
}
