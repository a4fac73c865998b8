package simulator

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// eventTypes are the groups of events; a callback is registered for each.
func eventTypes() []string { return []string{"DIRECT_MESSAGE", "COMMENT", "BRAND_MENTION", "VIDEO"} }

// eventTypeOf is the group under which an event's callback is registered.
func eventTypeOf(event string) string {
	switch {
	case strings.HasPrefix(event, "comment."):
		return "COMMENT"
	case strings.HasPrefix(event, "brand."):
		return "BRAND_MENTION"
	case strings.HasPrefix(event, "post."), strings.HasPrefix(event, "video."):
		return "VIDEO"
	default: // im_*, authorization.removed
		return "DIRECT_MESSAGE"
	}
}

// webhooks are the callback URLs of the app by event type: one for all its businesses.
type webhooks struct {
	mu       sync.RWMutex
	callback map[string]string
}

func (w *webhooks) all() map[string]string {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return maps.Clone(w.callback)
}

// Webhook is the callback URL that is registered for an event type; "" if none is.
func (s *Simulator) Webhook(eventType string) string {
	s.webhooks.mu.RLock()
	defer s.webhooks.mu.RUnlock()
	return s.webhooks.callback[eventType]
}

// SetWebhook registers a callback URL as if somebody else had done so; "" removes it.
func (s *Simulator) SetWebhook(eventType, callback string) {
	s.webhooks.mu.Lock()
	defer s.webhooks.mu.Unlock()
	if callback == "" {
		delete(s.webhooks.callback, eventType)
		return
	}
	if s.webhooks.callback == nil {
		s.webhooks.callback = map[string]string{}
	}
	s.webhooks.callback[eventType] = callback
}

func validateEventType(eventType string) error {
	if !slices.Contains(eventTypes(), eventType) {
		return fmt.Errorf("must be one of %s", strings.Join(eventTypes(), ", "))
	}
	return nil
}

func validateCallback(callback string) error {
	u, err := url.Parse(callback)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || !transportAllowed(u) {
		return fmt.Errorf("must be an absolute https URL (http for loopback hosts only)")
	}
	return nil
}

func (s *Simulator) listWebhook(c *call) (any, *failure) {
	eventType := c.params["event_type"]
	if err := validateEventType(eventType); err != nil {
		return nil, refuse(codeParameter, "event_type: %s.", err)
	}
	data := map[string]any{"app_id": s.opts.AppID, "event_type": eventType}
	if callback := s.Webhook(eventType); callback != "" {
		data["callback_url"] = callback
	}
	return data, nil
}

func (s *Simulator) updateWebhook(c *call) (any, *failure) {
	eventType, callback := c.params["event_type"], c.params["callback_url"]
	if err := validateEventType(eventType); err != nil {
		return nil, refuse(codeParameter, "event_type: %s.", err)
	}
	if err := validateCallback(callback); err != nil {
		return nil, refuse(codeParameter, "callback_url: %s.", err)
	}
	if _, given := c.lists["item_list"]; given && eventType != "COMMENT" {
		return nil, refuse(codeParameter, "item_list: only for the event_type COMMENT.")
	}
	s.SetWebhook(eventType, callback)
	s.log.Info("A webhook was registered", "eventType", eventType, "callbackURL", callback)
	return map[string]any{"app_id": s.opts.AppID, "event_type": eventType, "callback_url": callback}, nil
}

func (s *Simulator) deleteWebhook(c *call) (any, *failure) {
	eventType := c.params["event_type"]
	if err := validateEventType(eventType); err != nil {
		return nil, refuse(codeParameter, "event_type: %s.", err)
	}
	s.SetWebhook(eventType, "")
	s.log.Info("A webhook was removed", "eventType", eventType)
	return nil, nil
}
