// Package messagingapitest makes the messaging API on a bench of package outboundtest, for tests of it and of its clients.
package messagingapitest

import (
	"context"

	"github.com/go-logr/logr"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/business"
	"github.com/tiktok-operator/tiktok-operator/internal/capability"
	"github.com/tiktok-operator/tiktok-operator/internal/channelapi"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/messagingapi"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound/outboundtest"
	"github.com/tiktok-operator/tiktok-operator/internal/projection"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// New makes an API, and the streams that it needs while the test runs: start them.
func New(b *outboundtest.Bench, policy messaging.Policy, logger logr.Logger) (*messagingapi.API, *messagingapi.Streams) {
	b.Helper()
	apps := appclient.New(appclient.Options{Reader: b.Cluster, Clock: b.Clock, DialDownload: sink.Guard})
	sessions, err := business.New(business.Options{
		Reader: b.Cluster, Apps: apps, Tokens: tokenstore.New(tokenstore.Options{Client: b.Cluster}), Clock: b.Clock,
		Allowed: func(context.Context, *v1alpha1.TiktokApp, string) (bool, error) { return true, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	streams := messagingapi.NewStreams(b.Log, b.Clock, logger)
	api, err := messagingapi.New(messagingapi.Options{
		Reader: b.Cluster, States: b.States, Sender: b.Sender(outboundtest.Change{Policy: policy}), Clock: b.Clock, Logger: logger,
		Reading: &messagingapi.Reading{
			Conversations: projection.NewIndex(b.Log), Images: capability.New(sessions, apps, b.Clock), Sessions: sessions, Throttle: apps,
			Streams: streams,
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	return api, streams
}

// Routes are those of the whole API.
func Routes(api *messagingapi.API) []channelapi.Route {
	return append(api.SendRoutes(), api.ReadRoutes()...)
}
