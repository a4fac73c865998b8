package tokenstore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

var secrets = schema.GroupResource{Resource: "secrets"}

// faults come before, or in place of, the n-th write of a Secret after TikTok answered, counted from 1.
type faults struct {
	armed atomic.Bool
	count atomic.Int32
	// before the write; an error is its answer.
	before func(n int) error
	// after says that the write is made, but its answer is lost.
	after func(n int) bool
}

func (f *faults) funcs() interceptor.Funcs {
	return interceptor.Funcs{Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
		if !f.armed.Load() {
			return c.Update(ctx, o, opts...)
		}
		n := int(f.count.Add(1))
		if f.before != nil {
			if err := f.before(n); err != nil {
				return err
			}
		}
		err := c.Update(ctx, o, opts...)
		if err == nil && f.after != nil && f.after(n) {
			return errors.New("the connection broke")
		}
		return err
	}}
}

func edit(t *testing.T, ch *v1alpha1.TiktokChannel, change func(*corev1.Secret)) {
	t.Helper()
	secret := secretOf(t, ch)
	change(secret)
	if err := k8s.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
}

// TestSaveGetsThrough: the answer is stored whatever the API server does meanwhile, also after the process was told to end; and what others
// keep in the Secret stays there.
func TestSaveGetsThrough(t *testing.T) {
	for name, tc := range map[string]struct {
		before   func(t *testing.T, ch *v1alpha1.TiktokChannel, n int) error
		after    func(n int) bool
		attempts int
	}{
		"at once": {attempts: 1},
		"after an hour": {attempts: 721, before: func(_ *testing.T, _ *v1alpha1.TiktokChannel, n int) error {
			if n > 720 {
				return nil
			}
			return []error{
				apierrors.NewServerTimeout(secrets, "update", 1), errors.New("connection refused"), apierrors.NewTooManyRequests("later", 1),
				apierrors.NewForbidden(secrets, "x", errors.New("quota")), context.DeadlineExceeded, apierrors.NewInternalError(errors.New("etcd")),
			}[n%6]
		}},
		"after many conflicts": {attempts: 31, before: func(t *testing.T, ch *v1alpha1.TiktokChannel, n int) error {
			if n <= 30 {
				edit(t, ch, func(s *corev1.Secret) { metav1.SetMetaDataAnnotation(&s.ObjectMeta, "somebody", fmt.Sprint(n)) })
			}
			return nil
		}},
		"with its answer lost": {attempts: 1, after: func(n int) bool { return n == 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ch := connected(t)
			edit(t, ch, func(s *corev1.Secret) {
				s.Data["theirs"], s.Labels["theirs"], s.Annotations["theirs"] = []byte("kept"), "kept", "kept"
			})
			f := &faults{after: tc.after}
			if tc.before != nil {
				f.before = func(n int) error { return tc.before(t, ch, n) }
			}
			p := newProcess(t, "manager", f.funcs())
			claimed := p.claim(t, ch)
			f.armed.Store(true)
			ctx, shutdown := context.WithCancel(t.Context())
			shutdown()
			memory := token.Memory{ImportDigest: "ab12"}
			result, snap := claimed.Save(ctx, tokens(2), memory)
			p.WaitPending()
			if result != tokenstore.Stored || int(f.count.Load()) != tc.attempts {
				t.Errorf("%s after %d attempts, want %d", result, f.count.Load(), tc.attempts)
			}
			stored := has(t, ch, 2)
			if stored.State.Memory != memory || stored.State.Epoch != 1 || stored.Secret.ResourceVersion != snap.Secret.ResourceVersion {
				t.Errorf("stored %+v, returned %+v", stored.State, snap.State)
			}
			s := stored.Secret
			if string(s.Data["theirs"]) != "kept" || s.Labels["theirs"] != "kept" || s.Annotations["theirs"] != "kept" {
				t.Errorf("keys %v, labels %v, annotations %v", maps.Keys(s.Data), s.Labels, s.Annotations)
			}
			if entries := journalled(t, p.dir); len(entries) != 0 {
				t.Errorf("journal %+v", entries)
			}
		})
	}
}

// TestPendingUntilSaved: until the Secret holds the answer the journal does, and the process knows that it must not end.
func TestPendingUntilSaved(t *testing.T) {
	ch := connected(t)
	writing, goOn := make(chan struct{}), make(chan struct{})
	f := &faults{before: func(int) error {
		close(writing)
		<-goOn
		return nil
	}}
	p := newProcess(t, "manager", f.funcs())
	claimed := p.claim(t, ch)
	f.armed.Store(true)
	var saved atomic.Bool
	go func() {
		claimed.Save(t.Context(), tokens(2), token.Memory{})
		saved.Store(true)
	}()
	<-writing
	if entries := journalled(t, p.dir); len(entries) != 1 || entries[0].Tokens == nil || entries[0].Tokens.RefreshToken != tokens(2).RefreshToken {
		t.Errorf("journal %+v", entries)
	}
	waited := make(chan struct{})
	go func() {
		p.WaitPending()
		close(waited)
	}()
	select {
	case <-waited:
		t.Error("the process may end before the answer is stored")
	default:
	}
	close(goOn)
	<-waited
	has(t, ch, 2)
}

// TestSaveWithoutJournal: a volume that fails is no reason to lose the answer.
func TestSaveWithoutJournal(t *testing.T) {
	ch, p := connected(t), newProcess(t, "manager")
	claimed := p.claim(t, ch)
	if err := os.RemoveAll(p.dir); err != nil {
		t.Fatal(err)
	}
	if result, _ := claimed.Save(t.Context(), tokens(2), token.Memory{}); result != tokenstore.Stored {
		t.Error(result)
	}
	has(t, ch, 2)
}

// TestNewerAuthorizationWins: a person authorized the channel while it was refreshed.
func TestNewerAuthorizationWins(t *testing.T) {
	ch := connected(t)
	p := newProcess(t, "manager")
	claimed := p.claim(t, ch)
	authorize(t, ch, 3, 1)
	result, snap := claimed.Save(t.Context(), tokens(2), token.Memory{HandledRequest: "now"})
	if result != tokenstore.Superseded || snap.Tokens.RefreshToken != tokens(3).RefreshToken {
		t.Errorf("%s %+v", result, snap)
	}
	if st := has(t, ch, 3).State; st.Epoch != 2 || st.Memory != (token.Memory{}).Authorized(begun, nil) {
		t.Errorf("state %+v", st)
	}
}

// TestRefreshTokenThatStays: TikTok need not rotate. The access token is stored even though the refresh token in the Secret is the answer's.
func TestRefreshTokenThatStays(t *testing.T) {
	ch, p := connected(t), newProcess(t, "manager")
	claimed := p.claim(t, ch)
	edit(t, ch, func(s *corev1.Secret) { s.Labels["somebody"] = "was-here" })
	answer := tokens(2)
	answer.RefreshToken = tokens(1).RefreshToken
	if result, snap := claimed.Save(t.Context(), answer, token.Memory{}); result != tokenstore.Stored || snap.Tokens.AccessToken != answer.AccessToken {
		t.Errorf("%s %v", result, snap)
	}
	if got := secretOf(t, ch).Data[v1alpha1.AccessTokenKey]; string(got) != answer.AccessToken.Reveal() {
		t.Error("the new access token is lost")
	}
}

// TestSecretGoneMeanwhile: the Secret was deleted while TikTok answered. It is made anew as long as it has a channel.
func TestSecretGoneMeanwhile(t *testing.T) {
	t.Run("the channel is there", func(t *testing.T) {
		ch, p := connected(t), newProcess(t, "manager")
		claimed := p.claim(t, ch)
		remove(t, secretOf(t, ch))
		if result, _ := claimed.Save(t.Context(), tokens(2), token.Memory{HandledRequest: "now"}); result != tokenstore.Stored {
			t.Error(result)
		}
		if st := has(t, ch, 2).State; st.Epoch != 1 || st.HandledRequest != "now" {
			t.Errorf("state %+v: the link of epoch 0 was used", st)
		}
	})
	for name, gone := range map[string]func(t *testing.T, ch *v1alpha1.TiktokChannel){
		"the channel is gone": func(t *testing.T, ch *v1alpha1.TiktokChannel) { remove(t, ch) },
		"another channel has its name": func(t *testing.T, ch *v1alpha1.TiktokChannel) {
			remove(t, ch.DeepCopy())
			newChannelNamed(t, ch.Namespace, ch.Name)
		},
		"its namespace goes": func(t *testing.T, ch *v1alpha1.TiktokChannel) {
			remove(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ch.Namespace}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := fmt.Sprintf("going-%d", names.Add(1))
			if err := k8s.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
				t.Fatal(err)
			}
			ch, p := newChannelNamed(t, namespace, "channel"), newProcess(t, "manager")
			claimed := p.claim(t, ch)
			remove(t, secretOf(t, ch))
			gone(t, ch)
			began := p.Now()
			if result, snap := claimed.Save(t.Context(), tokens(2), token.Memory{}); result != tokenstore.Gone || snap != nil {
				t.Errorf("%s %v", result, snap)
			}
			if p.Since(began) > time.Second {
				t.Error("it was waited for")
			}
			if snap := p.read(t, ch); snap != nil {
				t.Errorf("a Secret that nobody owns: %+v", snap)
			}
		})
	}
}
