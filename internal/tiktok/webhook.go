package tiktok

import (
	"context"
	"net/http"
)

// WebhookConfiguration is where TikTok delivers an app's events of one type.
type WebhookConfiguration struct {
	// CallbackURL is "" where nothing is registered.
	CallbackURL string
}

// Webhook reads the configuration of an event type (DIRECT_MESSAGE, COMMENT …). That TikTok answers proves the app's credentials.
func (c *Client) Webhook(ctx context.Context, eventType string) (*WebhookConfiguration, error) {
	var data struct {
		CallbackURL text `json:"callback_url"`
	}
	err := c.do(ctx, call{method: http.MethodGet, endpoint: "business/webhook/list/", query: c.webhookParameters(eventType)}, &data)
	if err != nil {
		return nil, err
	}
	return &WebhookConfiguration{CallbackURL: string(data.CallbackURL)}, nil
}

// UpdateWebhook creates or replaces the configuration of an event type.
func (c *Client) UpdateWebhook(ctx context.Context, eventType, callbackURL string) error {
	body := c.webhookParameters(eventType)
	body["callback_url"] = callbackURL
	return c.do(ctx, call{method: http.MethodPost, endpoint: "business/webhook/update/", body: body}, nil)
}

// DeleteWebhook removes the configuration of an event type.
func (c *Client) DeleteWebhook(ctx context.Context, eventType string) error {
	return c.do(ctx, call{method: http.MethodPost, endpoint: "business/webhook/delete/", body: c.webhookParameters(eventType)}, nil)
}

func (c *Client) webhookParameters(eventType string) map[string]string {
	return map[string]string{"app_id": c.config.AppID, "secret": c.config.AppSecret.Reveal(), "event_type": eventType}
}
