package ingest_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllertest"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
)

// informer hands out what is handled by its followers.
type informer struct {
	*controllertest.FakeInformer
	handler toolscache.ResourceEventHandler
}

func (i *informer) AddEventHandler(h toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	i.handler = h
	return i.FakeInformer.AddEventHandler(h)
}

// followed is a Directory with the informers that it follows.
func followed(t *testing.T) (d *ingest.Directory, apps, channels *informer) {
	t.Helper()
	apps, channels = &informer{FakeInformer: &controllertest.FakeInformer{}}, &informer{FakeInformer: &controllertest.FakeInformer{}}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	d = &ingest.Directory{}
	if err := d.Follow(t.Context(), &informertest.FakeInformers{Scheme: scheme, InformersByGVK: map[schema.GroupVersionKind]toolscache.SharedIndexInformer{
		v1alpha1.GroupVersion.WithKind("TiktokApp"): apps, v1alpha1.GroupVersion.WithKind("TiktokChannel"): channels,
	}}); err != nil {
		t.Fatal(err)
	}
	return d, apps, channels
}

// Whatever happens to channels, the Directory finds the one that the cache would.
func TestTheDirectoryFindsWhatTheCacheDoes(t *testing.T) {
	d, _, informer := followed(t)
	random := rand.New(rand.NewPCG(1, 2))
	const names, apps, businesses = 6, 2, 3
	now := map[string]*v1alpha1.TiktokChannel{}
	for step := range 300 {
		name := fmt.Sprintf("ch-%d", random.IntN(names))
		before := now[name]
		next := channel(name, types.UID(fmt.Sprintf("%s-%d", name, step)), "")
		next.CreationTimestamp = metav1.Unix(int64(random.IntN(3)), 0)
		if before != nil {
			next.UID, next.CreationTimestamp = before.UID, before.CreationTimestamp
		}
		next.Spec.AppRef.Name = fmt.Sprintf("app-%d", random.IntN(apps))
		if business := random.IntN(businesses + 1); business > 0 {
			next.Status.BusinessID = fmt.Sprintf("business-%d", business)
		}
		if random.IntN(4) == 0 {
			next.Finalizers, next.DeletionTimestamp = []string{"a/b"}, &metav1.Time{Time: time.Unix(9, 0)}
		}
		switch {
		case before == nil:
			informer.Add(next)
			now[name] = next
		case random.IntN(3) > 0:
			informer.Update(before, next)
			now[name] = next
		case random.IntN(2) == 0:
			informer.Delete(before)
			delete(now, name)
		default: // the deletion was missed while the watch was interrupted
			informer.handler.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "ns/" + name, Obj: before})
			delete(now, name)
		}
		scheme := runtime.NewScheme()
		if err := v1alpha1.AddToScheme(scheme); err != nil {
			t.Fatal(err)
		}
		builder := fake.NewClientBuilder().WithScheme(scheme).WithIndex(&v1alpha1.TiktokChannel{}, ingest.BusinessIndex, ingest.BusinessKeys)
		for _, ch := range now {
			builder = builder.WithObjects(ch.DeepCopy())
		}
		cached := builder.Build()
		for app := range apps {
			for business := range businesses + 1 {
				a, b := fmt.Sprintf("app-%d", app), fmt.Sprintf("business-%d", business)
				want, err := ingest.ChannelOf(t.Context(), cached, a, b)
				if err != nil {
					t.Fatal(err)
				}
				if got := d.Channel(a, b); (got == nil) != (want == nil) || got != nil && got.UID != want.UID {
					t.Fatalf("step %d: %s of %s is %v, want %v", step, b, a, got, want)
				}
			}
		}
	}
}

// Who is in the Directory is not looked for elsewhere; who is not may be in the cache.
func TestTheCacheIsAskedForWhatTheDirectoryLacks(t *testing.T) {
	d, apps, channels := followed(t)
	f := setupWith(t, func(o *ingest.Options) { o.Directory = d }, channel("ch", "uid-1", business))
	post := func(id string) {
		t.Helper()
		if w := f.post("/webhooks/app", text(id, "c"), secret); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	post("1")
	asked := f.lookups.Load()
	if asked == 0 {
		t.Error("the cache was not asked")
	}
	app := &v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: v1alpha1.TiktokAppSpec{AppID: "client-1"}}
	apps.Add(app)
	channels.Add(channel("ch", "uid-1", business))
	post("2")
	if f.lookups.Load() != asked {
		t.Error("the cache was asked for what the Directory has")
	}
	if got := f.events(t, "uid-1"); len(got) != 2 {
		t.Errorf("%d events are stored", len(got))
	}
	apps.Delete(app)
	if got := d.App("app"); got != nil {
		t.Errorf("an app that is gone is %v", got)
	}
	channels.Delete(channel("ch", "uid-1", business))
	post("3")
	if f.lookups.Load() == asked {
		t.Error("the cache was not asked for what the Directory has no more")
	}
}
