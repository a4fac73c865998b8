package v1alpha1

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// TokenSecretName is the name of the Secret that holds the channel's tokens.
func (c *TiktokChannel) TokenSecretName() string {
	if c.Spec.TokenSecretRef != nil && c.Spec.TokenSecretRef.Name != "" {
		return c.Spec.TokenSecretRef.Name
	}
	return c.Name + "-tiktok-token"
}

// TokenSecretKey is the namespaced name of the Secret that holds the channel's tokens.
func (c *TiktokChannel) TokenSecretKey() types.NamespacedName {
	return types.NamespacedName{Namespace: c.Namespace, Name: c.TokenSecretName()}
}

// RefreshRequest is the value of the refresh annotation if it has not been answered yet, else "".
func (c *TiktokChannel) RefreshRequest() string {
	if v := c.Annotations[RefreshRequestedAtAnnotation]; v != c.Status.LastHandledRefreshAt {
		return v
	}
	return ""
}

// Wants says whether the sink receives events of a CloudEvent type.
func (s *Sink) Wants(eventType string) bool {
	return len(s.Types) == 0 || slices.Contains(s.Types, eventType)
}

// Delivery defaults, as in the schema.
const (
	DefaultDeliveryTimeout    = 10 * time.Second
	DefaultDeliveryMaxAge     = 72 * time.Hour
	DefaultDeliveryBackoffMin = time.Second
	DefaultDeliveryBackoffMax = 5 * time.Minute
)

// Timeout is how long one delivery attempt may take.
func (s *Sink) Timeout() time.Duration {
	if s.Delivery != nil && s.Delivery.Timeout != nil {
		return s.Delivery.Timeout.Duration
	}
	return DefaultDeliveryTimeout
}

// MaxAttempts is how often a delivery is tried before the event becomes a dead letter; 0 means without limit.
func (s *Sink) MaxAttempts() int {
	if s.Delivery == nil || s.Delivery.MaxAttempts == nil {
		return 0
	}
	return int(*s.Delivery.MaxAttempts)
}

// MaxAge is how old an event may grow before it becomes a dead letter.
func (s *Sink) MaxAge() time.Duration {
	if s.Delivery == nil || s.Delivery.MaxAge == nil {
		return DefaultDeliveryMaxAge
	}
	return s.Delivery.MaxAge.Duration
}

// BackoffBounds are the first and the longest wait between delivery attempts.
func (s *Sink) BackoffBounds() (minimum, maximum time.Duration) {
	minimum, maximum = DefaultDeliveryBackoffMin, DefaultDeliveryBackoffMax
	if s.Delivery != nil && s.Delivery.Backoff != nil {
		if b := s.Delivery.Backoff.Min; b != nil {
			minimum = b.Duration
		}
		if b := s.Delivery.Backoff.Max; b != nil {
			maximum = b.Duration
		}
	}
	return minimum, max(minimum, maximum)
}
