package main

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/ownership"
)

// ownership divides the channels among the replicas that share an external NATS. On the embedded event log there is one replica, which serves all.
func (s *servers) ownership(ctx context.Context) (dispatch.Ownership, error) {
	if s.options.natsURL == "" {
		return nil, nil
	}
	leases, err := s.events.OpenLeases(ctx)
	if err != nil {
		return nil, err
	}
	shared, err := ownership.New(ownership.Options{Store: leases, ID: string(uuid.NewUUID()), Logger: s.log.WithName("ownership")})
	if err != nil {
		return nil, err
	}
	if err := s.mgr.Add(shared); err != nil {
		return nil, fmt.Errorf("adding the division of channels among replicas: %w", err)
	}
	return shared, nil
}
