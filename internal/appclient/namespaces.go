package appclient

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// keepNamespaces is how many namespaces are remembered.
const keepNamespaces = 10_000

// KeepNamespaces is r with namespaces remembered for a while, for NamespaceAllowed of many channels. They are not watched, because that needs the
// right to list all of them.
func KeepNamespaces(r client.Reader, ttl time.Duration, c clock.Clock) client.Reader {
	return &namespaceKeeper{Reader: r, ttl: ttl, kept: cache.NewLRUExpireCacheWithClock(keepNamespaces, c)}
}

type namespaceKeeper struct {
	client.Reader
	ttl  time.Duration
	kept *cache.LRUExpireCache
}

func (k *namespaceKeeper) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	ns, ok := o.(*corev1.Namespace)
	if !ok {
		return k.Reader.Get(ctx, key, o, opts...)
	}
	if kept, ok := k.kept.Get(key.Name); ok {
		kept.(*corev1.Namespace).DeepCopyInto(ns)
		return nil
	}
	if err := k.Reader.Get(ctx, key, ns, opts...); err != nil {
		return err
	}
	k.kept.Add(key.Name, ns.DeepCopy(), k.ttl)
	return nil
}
