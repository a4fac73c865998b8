package tickets_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
)

var secretKey = types.NamespacedName{Namespace: "operator", Name: tickets.SecretName}

func newClient(funcs interceptor.Funcs, objects ...client.Object) client.Client {
	return fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objects...).WithInterceptorFuncs(funcs).Build()
}

func ensure(t *testing.T, c client.Client) tickets.Keys {
	t.Helper()
	k, err := tickets.Ensure(context.Background(), c, secretKey, now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func edit(t *testing.T, c client.Client, change func(*corev1.Secret)) {
	t.Helper()
	var secret corev1.Secret
	if err := c.Get(context.Background(), secretKey, &secret); err != nil {
		t.Fatal(err)
	}
	change(&secret)
	if err := c.Update(context.Background(), &secret); err != nil {
		t.Fatal(err)
	}
}

func request(t *testing.T, c client.Client, value string) {
	edit(t, c, func(s *corev1.Secret) {
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations[v1alpha1.RotateRequestedAtAnnotation] = value
	})
}

func TestEnsureCreatesAndLoads(t *testing.T) {
	c := newClient(interceptor.Funcs{})
	if _, err := tickets.Load(context.Background(), c, secretKey); !errors.Is(err, tickets.ErrNoKeys) {
		t.Fatalf("loaded before there were keys: %v", err)
	}
	made := ensure(t, c)
	loaded, err := tickets.Load(context.Background(), c, secretKey)
	if err != nil || !reflect.DeepEqual(made, loaded) || !reflect.DeepEqual(made, ensure(t, c)) {
		t.Fatalf("made %v, loaded %v, %v", made, loaded, err)
	}
}

func TestEnsureRotatesOnceARequest(t *testing.T) {
	c := newClient(interceptor.Funcs{})
	first := ensure(t, c)
	request(t, c, "1")
	second := ensure(t, c)
	if !reflect.DeepEqual(second.Previous, first.Current) || reflect.DeepEqual(second.Current, first.Current) {
		t.Fatalf("rotated from %v to %v", first, second)
	}
	if again := ensure(t, c); !reflect.DeepEqual(again, second) {
		t.Fatalf("rotated again without a request: %v", again)
	}
	edit(t, c, func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.RotateRequestedAtAnnotation) })
	if again := ensure(t, c); !reflect.DeepEqual(again, second) {
		t.Fatalf("rotated because the request was taken away: %v", again)
	}
	request(t, c, "2")
	if third := ensure(t, c); !reflect.DeepEqual(third.Previous, second.Current) {
		t.Fatalf("a second request gave %v after %v", third, second)
	}
}

func TestEnsureRepairs(t *testing.T) {
	for name, change := range map[string]func(*corev1.Secret){
		"emptied":     func(s *corev1.Secret) { s.Data = nil },
		"short key":   func(s *corev1.Secret) { s.Data["current"] = []byte("short") },
		"key missing": func(s *corev1.Secret) { delete(s.Data, "current") },
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(interceptor.Funcs{})
			request(t, mustCreate(t, c), "1")
			before := ensure(t, c)
			edit(t, c, change)
			after := ensure(t, c)
			if reflect.DeepEqual(before.Current, after.Current) {
				t.Fatal("still the old key")
			}
			if again := ensure(t, c); !reflect.DeepEqual(again, after) {
				t.Fatalf("repaired twice: %v, then %v", after, again)
			}
			loaded, err := tickets.Load(context.Background(), c, secretKey)
			if err != nil || !reflect.DeepEqual(loaded, after) {
				t.Fatalf("loaded %v, %v", loaded, err)
			}
		})
	}
}

func mustCreate(t *testing.T, c client.Client) client.Client {
	t.Helper()
	ensure(t, c)
	return c
}

func TestEnsureByTwoManagers(t *testing.T) {
	c := newClient(interceptor.Funcs{})
	const managers = 8
	made := make([]tickets.Keys, managers)
	var wg sync.WaitGroup
	for i := range managers {
		wg.Go(func() { made[i] = ensure(t, c) })
	}
	wg.Wait()
	for _, k := range made {
		if !reflect.DeepEqual(k, made[0]) {
			t.Fatalf("two managers made %v and %v", made[0], k)
		}
	}
}

func TestEnsureWhileTheAPIServerIsAway(t *testing.T) {
	away := errors.New("connection refused")
	c := newClient(interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
		return away
	}})
	if _, err := tickets.Ensure(context.Background(), c, secretKey, now); !errors.Is(err, away) {
		t.Errorf("ensured: %v", err)
	}
	if _, err := tickets.Load(context.Background(), c, secretKey); !errors.Is(err, away) || errors.Is(err, tickets.ErrNoKeys) {
		t.Errorf("loaded: %v", err)
	}
}

func TestNewKeyKeepsNoReference(t *testing.T) {
	b := bytes.Repeat([]byte("a"), 32)
	k := key(t, b)
	id := k.ID()
	b[0] = 'b'
	if k.ID() != id {
		t.Fatal("the key changed with its source")
	}
}
