package controllers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/removal"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// byBusiness answers the webhook's lookup without a cache.
type byBusiness struct{ client.Client }

func (c byBusiness) List(ctx context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if err := c.Client.List(ctx, list, client.InNamespace(unmanaged)); err != nil {
		return err
	}
	var held []v1alpha1.TiktokChannel
	channels := list.(*v1alpha1.TiktokChannelList)
	for i := range channels.Items {
		if len(ingest.BusinessKeys(&channels.Items[i])) > 0 {
			held = append(held, channels.Items[i])
		}
	}
	channels.Items = held
	return nil
}

// listen runs the webhook deployment's part for the bench's app, and has the simulator deliver to it.
func (b *bench) listen() {
	b.t.Helper()
	log, err := eventlog.Open(b.t.Context(), eventlog.Options{DataDir: b.t.TempDir(), Fsync: eventlog.Fsync(time.Minute)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = log.Close() })
	reader := byBusiness{k8s}
	router := ingest.NewRouter(reader, log, logr.Discard())
	handler, err := ingest.New(ingest.Options{Reader: reader, Credentials: b.r.Apps, Log: log, Router: router, Clock: b.clock})
	if err != nil {
		b.t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	b.t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(b.t.Context())
	stopped := make(chan error, 1)
	worker := &removal.Worker{Reader: reader, Jobs: log, Tokens: tokenstore.New(tokenstore.Options{Client: k8s, Holder: "webhook"})}
	go func() { stopped <- worker.Start(ctx) }()
	b.t.Cleanup(func() { cancel(); <-stopped })
	b.sim.SetWebhook("DIRECT_MESSAGE", server.URL+"/webhooks/"+b.app.Name)
}

// removed has TikTok tell that the authorization is over, and waits until the token Secret says so.
func (b *bench) removed(content string) {
	b.t.Helper()
	d, err := b.sim.SendEvent(b.t.Context(), simulator.Event{Event: tiktok.EventAuthorizationRemoved, Content: []byte(content)})
	if err != nil || d.Status != http.StatusOK {
		b.t.Fatalf("the webhook was answered %+v, %v", d, err)
	}
	eventually(b.t, func() string {
		if b.secret().Annotations[v1alpha1.AuthorizationRemovedAtAnnotation] == "" {
			return "the token Secret does not say that the authorization was removed"
		}
		return ""
	})
}

// lost fails unless the channel says that a person must act.
func (b *bench) lost(reason string) {
	b.t.Helper()
	b.want(v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionTrue, reason)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, reason)
	b.want(v1alpha1.StalledCondition, metav1.ConditionTrue, reason)
	if reload(b.t, b.ch).Status.AuthorizationURL == "" {
		b.t.Error("no authorizationURL")
	}
}

// well fails unless the channel works and nothing is left of the removal.
func (b *bench) well() {
	b.t.Helper()
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	b.want(v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	b.absent(v1alpha1.StalledCondition, v1alpha1.ReconcilingCondition)
	if mark := b.secret().Annotations[v1alpha1.AuthorizationRemovedAtAnnotation]; mark != "" {
		b.t.Errorf("the mark %q is still there", mark)
	}
	b.works()
}

// From TikTok's webhook to the alarm, over HTTP, and until a person has authorized again.
func TestRemovedAuthorizationNeedsAPersonAtOnce(t *testing.T) {
	b := connected(t)
	b.listen()
	b.clock.Step(time.Minute)
	b.sim.RevokeBusiness("biz-0001")
	b.removed(`{"reason":4}`)
	b.reconcile()
	b.lost(v1alpha1.ReasonAuthorizationRemoved)
	if warnings := strings.Join(b.drain(), "\n"); strings.Count(warnings, "Warning "+v1alpha1.EventReauthorizationRequired) != 1 ||
		!strings.Contains(warnings, "TikTok banned the business's account at 2026-11-23T12:01:00Z. Open status.authorizationURL") {
		t.Errorf("events %q", warnings)
	}
	for range 50 {
		b.clock.Step(time.Hour)
		b.reconcile()
	}
	b.reconcileWith(b.manager("restarted"))
	b.calls(refreshEndpoint, 0)

	t.Run("a requested refresh is tried once, and refused", func(t *testing.T) {
		b.annotate(v1alpha1.RefreshRequestedAtAnnotation, "now")
		b.reconcile()
		b.reconcile()
		b.calls(refreshEndpoint, 1)
		b.lost(v1alpha1.ReasonAuthorizationRemoved)
	})
	t.Run("until somebody authorizes", func(t *testing.T) {
		b.authorize()
		b.reconcile()
		b.well()
		if at := reload(t, b.ch).Status.LastAuthorizationTime; at == nil || !at.Time.Equal(b.clock.Now()) {
			t.Errorf("lastAuthorizationTime %v", at)
		}
	})
}

// TikTok documents the event for other apps than these. Whoever knows better asks for a refresh.
func TestRemovalThatWasNoneEndsWithARequestedRefresh(t *testing.T) {
	b := connected(t)
	b.listen()
	b.removed(`{"reason":1}`)
	b.reconcile()
	b.lost(v1alpha1.ReasonAuthorizationRemoved)
	b.annotate(v1alpha1.RefreshRequestedAtAnnotation, "now")
	b.reconcile()
	b.calls(refreshEndpoint, 1)
	b.well()
	b.reconcile()
	b.well()
}

// Imported tokens are another authorization than the one that was removed.
func TestImportEndsARemoval(t *testing.T) {
	b := connected(t)
	store := tokenstore.New(tokenstore.Options{Client: k8s, Holder: "webhook"})
	end := token.Removal{Time: b.clock.Now().Add(time.Second), Reason: token.RemovalUserDisconnected}
	if marked, err := store.MarkRemoved(t.Context(), b.ch, "biz-0001", end); err != nil || !marked {
		t.Fatalf("%t, %v", marked, err)
	}
	b.reconcile()
	b.lost(v1alpha1.ReasonAuthorizationRemoved)
	b.userSecret(b.sim.IssueToken("biz-0001").RefreshToken)
	b.edit(importing)
	b.reconcile()
	b.well()
	if marked, err := store.MarkRemoved(t.Context(), b.ch, "biz-0001", end); err != nil || marked {
		t.Errorf("a late duplicate is marked: %t, %v", marked, err)
	}
}
