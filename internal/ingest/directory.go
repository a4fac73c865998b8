package ingest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// Directory finds a webhook's app and channel without the copies and lists that a read of the cache makes. It follows the cache, which is ahead of
// it by a moment: what it does not find may be there, and is to be looked for in the cache. What it returns is the cache's own: do not change
// it. The zero value is empty.
type Directory struct {
	mu       sync.RWMutex
	apps     map[string]*v1alpha1.TiktokApp
	channels map[string][]*v1alpha1.TiktokChannel // by businessKey; those of one business are preferred in this order
}

// Follow has the Directory follow a cache.
func (d *Directory) Follow(ctx context.Context, informers cache.Informers) error {
	for _, kind := range []client.Object{&v1alpha1.TiktokApp{}, &v1alpha1.TiktokChannel{}} {
		informer, err := informers.GetInformer(ctx, kind)
		if err == nil {
			_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
				AddFunc:    func(added any) { d.replace(nil, added) },
				UpdateFunc: d.replace,
				DeleteFunc: func(deleted any) { d.replace(deleted, nil) },
			})
		}
		if err != nil {
			return fmt.Errorf("following %T in the cache: %w", kind, err)
		}
	}
	return nil
}

// replace takes an object out and puts another one in; either may be nil.
func (d *Directory) replace(before, after any) {
	if lost, ok := before.(toolscache.DeletedFinalStateUnknown); ok {
		before = lost.Obj
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if app, ok := before.(*v1alpha1.TiktokApp); ok {
		delete(d.apps, app.Name)
	}
	if ch, ok := before.(*v1alpha1.TiktokChannel); ok {
		for _, key := range BusinessKeys(ch) {
			others := slices.DeleteFunc(slices.Clone(d.channels[key]), func(o *v1alpha1.TiktokChannel) bool { return o.UID == ch.UID })
			if d.channels[key] = others; len(others) == 0 {
				delete(d.channels, key)
			}
		}
	}
	switch o := after.(type) {
	case *v1alpha1.TiktokApp:
		if d.apps == nil {
			d.apps = map[string]*v1alpha1.TiktokApp{}
		}
		d.apps[o.Name] = o
	case *v1alpha1.TiktokChannel:
		if d.channels == nil {
			d.channels = map[string][]*v1alpha1.TiktokChannel{}
		}
		for _, key := range BusinessKeys(o) {
			all := append(slices.Clone(d.channels[key]), o)
			slices.SortFunc(all, func(a, b *v1alpha1.TiktokChannel) int {
				if preferred(a, b) {
					return -1
				}
				return 1
			})
			d.channels[key] = all
		}
	}
}

// App is the app of a name; nil if it is not known here.
func (d *Directory) App(name string) *v1alpha1.TiktokApp {
	if d == nil {
		return nil
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.apps[name]
}

// Channel is the channel of the app that holds the business, as ChannelOf chooses it; nil if none is known here.
func (d *Directory) Channel(app, business string) *v1alpha1.TiktokChannel {
	if d == nil || business == "" {
		return nil
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if all := d.channels[businessKey(app, business)]; len(all) > 0 {
		return all[0]
	}
	return nil
}
