package controllers

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// appCheck is what TikTok last said of an app. It is kept in memory: after a restart TikTok is asked once.
type appCheck struct {
	// key is what the check depends on: generation, owner, and a fingerprint of the secret.
	key      string
	at       time.Time
	failures int32
	// credentials says what is wrong with them, nil if TikTok accepted them.
	credentials *problem
	// webhook says why it is not registered, nil if it is.
	webhook    *problem
	registered string
	// unchecked: TikTok has not answered since the key changed.
	unchecked bool
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
	key := fmt.Sprintf("%s/%d/%s/%s", app.UID, app.Generation, owner, token.Digest(app.Name, creds.Current))
	c.mu.Lock()
	defer c.mu.Unlock()
	last, ok := c.byName[app.Name]
	if !ok || last.key != key {
		return appCheck{key: key, unchecked: true}, true
	}
	return last, !now.Before(last.dueAt()) || (suspected && now.Sub(last.at) >= minAppRecheck) || now.Before(last.at.Add(-time.Minute))
}

func (c appCheck) dueAt() time.Time {
	if c.failures == 0 {
		return c.at.Add(checkAppEvery)
	}
	return c.at.Add(min(maxAppRecheck, minAppRecheck<<min(c.failures-1, 10)))
}

// next is when to look at the app again: at its Secret, or at TikTok.
func (c *appChecks) next(app string, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if check, ok := c.byName[app]; ok {
		return max(time.Second, min(pollAppSecret, check.dueAt().Sub(now)))
	}
	return minAppRecheck
}

// afterError settles a check that TikTok did not answer, or refused.
func (c appCheck) afterError(err error, owner string) appCheck {
	c.failures++
	message := words(err)
	switch tiktok.ClassOf(err) {
	case tiktok.ClassTransient, tiktok.ClassMalformed, tiktok.ClassRateLimited:
		// What was known of the credentials stays: TikTok being away is not the app's fault.
		c.webhook = &problem{Reason: v1alpha1.ReasonTransientFailure, Message: "TikTok could not be asked and is asked again: " + message}
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
