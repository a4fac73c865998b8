package main

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/access"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/business"
	"github.com/tiktok-operator/tiktok-operator/internal/capability"
	"github.com/tiktok-operator/tiktok-operator/internal/channelapi"
	"github.com/tiktok-operator/tiktok-operator/internal/deadletter"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/messagingapi"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound"
	"github.com/tiktok-operator/tiktok-operator/internal/projection"
	"github.com/tiktok-operator/tiktok-operator/internal/sinkapi"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// private serves programs.
func (s *servers) private(authorizations *oauth.Handler, apps *appclient.Pool, tokens *tokenstore.Store) error {
	messages, err := s.messaging(apps, tokens)
	if err != nil || s.options.privateAddress == "0" {
		return err
	}
	gate, err := access.New(access.Options{Client: s.live, Log: s.log.WithName("access")})
	if err != nil {
		return err
	}
	letters := &deadletter.API{Reader: s.mgr.GetClient(), Events: s.events, Logger: s.log.WithName("deadletter")}
	sinks := &sinkapi.API{Reader: s.mgr.GetClient(), Events: s.events, Logger: s.log.WithName("sinks")}
	authorize := channelapi.Route{
		Pattern: oauth.APIPattern, Verb: "create", Subresource: oauth.APISubresource, Handle: authorizations.API().ServeHTTP,
	}
	mux := http.NewServeMux()
	mux.Handle(messagingapi.OpenAPIPattern, messagingapi.OpenAPI())
	routes := slices.Concat([]channelapi.Route{authorize}, letters.Routes(), sinks.Routes(), messages.SendRoutes(), messages.ReadRoutes())
	for _, route := range routes {
		handle := s.tracer.Handler(route.Pattern, route.Handle) // behind the gate: a stranger has nothing recorded
		mux.Handle(route.Pattern, gate.Require(access.Rule{Verb: route.Verb, Subresource: route.Subresource}, handle))
	}
	config, err := s.tlsConfig()
	if err != nil {
		return err
	}
	return s.listen("private", s.options.privateAddress, ingest.NewServer(mux, nil), config, 0)
}

// messaging sends messages, follows what becomes of them, and reads them.
func (s *servers) messaging(apps *appclient.Pool, tokens *tokenstore.Store) (*messagingapi.API, error) {
	states := projection.New(s.events)
	sessions, err := business.New(business.Options{
		Reader: s.mgr.GetClient(), Apps: apps, Tokens: tokens,
		Allowed: func(ctx context.Context, app *v1alpha1.TiktokApp, namespace string) (bool, error) {
			return appclient.NamespaceAllowed(ctx, s.live, app, namespace)
		},
	})
	if err != nil {
		return nil, err
	}
	metrics, err := outbound.NewMetrics(s.registry)
	if err != nil {
		return nil, err
	}
	images := capability.New(sessions, apps, nil)
	sender, err := outbound.New(outbound.Options{
		Log: s.events, States: states, Sessions: sessions, Apps: apps, Images: images,
		Refresher: &outbound.Annotator{Client: s.live, Clock: clock.RealClock{}}, Policy: s.options.messageRules, Metrics: metrics,
		Logger: s.log.WithName("outbound"),
	})
	if err != nil {
		return nil, err
	}
	follower := &outbound.Follower{Reader: s.mgr.GetCache(), Log: s.events, States: states, Logger: s.log.WithName("outbound")}
	streams := messagingapi.NewStreams(s.events, nil, s.log.WithName("messaging"))
	if err := errors.Join(s.mgr.Add(sender), s.mgr.Add(follower), s.mgr.Add(streams)); err != nil {
		return nil, err
	}
	return messagingapi.New(messagingapi.Options{
		Reader: s.mgr.GetClient(), States: states, Sender: sender, Logger: s.log.WithName("messaging"),
		Reading: &messagingapi.Reading{
			Conversations: projection.NewIndex(s.events), Images: images, Sessions: sessions, Throttle: apps, Streams: streams,
		},
	})
}
