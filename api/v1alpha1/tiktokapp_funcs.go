package v1alpha1

import "strings"

// Defaults that the schema writes and that code falls back to for objects built without an API server.
const (
	// DefaultAPIEndpoint is TikTok's Business API.
	DefaultAPIEndpoint = "https://business-api.tiktok.com/open_api/v1.3/"
	// DefaultAuthorizeEndpoint is TikTok's consent page.
	DefaultAuthorizeEndpoint = "https://www.tiktok.com/v2/auth/authorize"
	// DefaultRequestsPerSecond is TikTok's own rate limit of an app.
	DefaultRequestsPerSecond = 10
)

// RedirectURL is the OAuth redirect URL of the app, in the form that TikTok requires (with a final slash).
func (a *TiktokApp) RedirectURL() string { return a.baseURL() + "/oauth/callback/" }

// WebhookURL is where TikTok delivers the app's webhooks.
func (a *TiktokApp) WebhookURL() string { return a.baseURL() + "/webhooks/" + a.Name }

// AuthorizationStartURL is where an authorization of any of the app's channels begins, without its link parameter.
func (a *TiktokApp) AuthorizationStartURL() string { return a.baseURL() + "/oauth/start" }

func (a *TiktokApp) baseURL() string { return strings.TrimRight(a.Spec.PublicURL, "/") }

// APIEndpoint is the base URL of TikTok's API for this app.
func (a *TiktokApp) APIEndpoint() string {
	if a.Spec.Endpoints != nil && a.Spec.Endpoints.API != "" {
		return a.Spec.Endpoints.API
	}
	return DefaultAPIEndpoint
}

// AuthorizeEndpoint is the URL of TikTok's consent page for this app.
func (a *TiktokApp) AuthorizeEndpoint() string {
	if a.Spec.Endpoints != nil && a.Spec.Endpoints.Authorize != "" {
		return a.Spec.Endpoints.Authorize
	}
	return DefaultAuthorizeEndpoint
}

// RequestsPerSecond is the app's rate limit.
func (a *TiktokApp) RequestsPerSecond() float64 {
	if a.Spec.RateLimit != nil && a.Spec.RateLimit.RequestsPerSecond > 0 {
		return float64(a.Spec.RateLimit.RequestsPerSecond)
	}
	return DefaultRequestsPerSecond
}

// SecretKey is the key of the app secret in the Secret that spec.secretRef names.
func (a *TiktokApp) SecretKey() string {
	if a.Spec.SecretRef.Key != "" {
		return a.Spec.SecretRef.Key
	}
	return DefaultAppSecretKey
}

// EventTypes are the groups of events that the app's webhook is registered for.
func (a *TiktokApp) EventTypes() []WebhookEventType {
	if a.Spec.Webhook != nil && len(a.Spec.Webhook.EventTypes) > 0 {
		return a.Spec.Webhook.EventTypes
	}
	return []WebhookEventType{WebhookEventTypeDirectMessage}
}

// ManagesWebhook says whether the operator keeps the webhook registered.
func (a *TiktokApp) ManagesWebhook() bool {
	return a.Spec.Webhook == nil || a.Spec.Webhook.Registration != WebhookExternal
}
