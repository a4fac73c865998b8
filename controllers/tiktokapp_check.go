package controllers

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// appCheck is what TikTok last said of an app. It is kept in memory: after a restart TikTok is asked once.
type appCheck struct {
	// key is what the check depends on: generation, owner, and the login.
	key string
	// login is what the credentials' part of it depends on: where TikTok is asked, and a fingerprint of the secret.
	login    string
	at       time.Time
	failures int32
	// credentials says what is wrong with them, nil if TikTok accepted them.
	credentials *problem
	// webhook says why it is not registered, nil if it is.
	webhook    *problem
	registered string
	// registrations are what the operator registered, and has not removed.
	registrations []v1alpha1.AppRegistration
	// left says why an event type that left the spec is still registered, "" if none is.
	left string
	// unchecked: TikTok has not answered since the key changed.
	unchecked bool
	// confirmed: TikTok accepted the credentials in this very check.
	confirmed bool
	// paused is until when TikTok wants no calls of the app.
	paused time.Time
}

// recall takes what the status says of the credentials, after a restart: that TikTok cannot be asked right then takes nothing back.
func (c appCheck) recall(app *v1alpha1.TiktokApp) appCheck {
	known := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.CredentialsValidCondition)
	switch {
	case known == nil || known.ObservedGeneration != app.Generation:
	case known.Status == metav1.ConditionTrue:
		c.unchecked = false
	case known.Reason == v1alpha1.ReasonCredentialsRefused:
		c.unchecked, c.credentials = false, &problem{Reason: known.Reason, Message: known.Message, Stalled: true}
	}
	return c
}

// appChecks are the checks of all apps.
type appChecks struct {
	mu     sync.Mutex
	byName map[string]appCheck
}

func (c *appChecks) put(app string, check appCheck) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName == nil {
		c.byName = map[string]appCheck{}
	}
	c.byName[app] = check
}

func (c *appChecks) forget(app string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byName, app)
}

// due returns the last check and whether a new one is due. A changed key starts anew, without back-off.
func (c *appChecks) due(app *v1alpha1.TiktokApp, owner string, creds appclient.Credentials, now time.Time, suspected bool) (appCheck, bool) {
	login := fmt.Sprintf("%s/%s/%s", app.UID, app.APIEndpoint(), token.Digest(app.Name, creds.Current))
	key := fmt.Sprintf("%d/%s/%s", app.Generation, owner, login)
	c.mu.Lock()
	defer c.mu.Unlock()
	last, ok := c.byName[app.Name]
	fresh := appCheck{
		key: key, login: login, unchecked: true,
		registered: app.Status.RegisteredCallbackURL, registrations: slices.Clone(app.Status.Registrations),
	}
	if ok {
		fresh.registrations = last.registrations // the status may be behind
	}
	switch {
	case !ok:
		return fresh.recall(app), true
	case last.key != key && last.login == login:
		fresh.unchecked, fresh.credentials, fresh.paused = last.unchecked, last.credentials, last.paused
		return fresh, true
	case last.key != key:
		return fresh, true
	}
	return last, !now.Before(last.dueAt(suspected)) || now.Before(last.at.Add(-time.Minute))
}

// dueAt is when TikTok is to be asked again. A suspicion hastens it, but no back-off: TikTok has just said what it says.
func (c appCheck) dueAt(suspected bool) time.Time {
	due := c.at.Add(checkAppEvery)
	switch {
	case c.failures > 0:
		due = c.at.Add(min(maxAppRecheck, minAppRecheck<<min(c.failures-1, 10)))
	case suspected:
		due = c.at.Add(minAppRecheck)
	}
	if due.Before(c.paused) {
		return c.paused
	}
	return due
}

// next is when to look at the app again: at its Secret, or at TikTok.
func (c *appChecks) next(app string, now time.Time, suspected bool) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if check, ok := c.byName[app]; ok {
		return max(time.Second, min(pollAppSecret, check.dueAt(suspected).Sub(now)))
	}
	return minAppRecheck
}

// afterError settles a check that TikTok did not answer, or refused.
func (c appCheck) afterError(err error, owner string) appCheck {
	c.failures++
	message, next := words(err), c.dueAt(false).UTC().Format(time.RFC3339)
	switch tiktok.ClassOf(err) {
	case tiktok.ClassTransient, tiktok.ClassMalformed:
		// What was known of the credentials stays: TikTok being away is not the app's fault.
		c.webhook = &problem{
			Reason: v1alpha1.ReasonTransientFailure, Message: fmt.Sprintf("TikTok could not be asked and is asked again at %s: %s", next, message),
		}
	case tiktok.ClassRateLimited:
		c.webhook = &problem{
			Reason: v1alpha1.ReasonRateLimited, Message: fmt.Sprintf("TikTok throttles the app, whose calls pause until %s: %s", next, message),
		}
	default:
		c.unchecked = false
		c.credentials = &problem{
			Reason: v1alpha1.ReasonCredentialsRefused, Stalled: true,
			Message: fmt.Sprintf("TikTok refuses the app (%s). Check spec.appID, the app secret and the app's state in TikTok's developer portal. "+
				"No business needs to authorize again; channels go on by themselves when this is set right.", strings.TrimSuffix(message, ".")),
		}
		c.webhook = &problem{Reason: v1alpha1.ReasonCredentialsRefused, Message: "TikTok refuses the app's credentials."}
	}
	if owner != "" && c.credentials == nil {
		c.webhook = &problem{Reason: v1alpha1.ReasonDuplicateApp, Message: "TiktokApp " + owner + " owns the webhook."}
	}
	return c
}
