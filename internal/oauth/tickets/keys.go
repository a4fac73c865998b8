// Package tickets makes and checks the signed tickets of an authorization: the link that starts one, the state that comes back from TikTok,
// and the receipt that shows what came of it. All are JWTs with a pinned algorithm and an audience of their own, so that none can pass for
// another.
//
// It also keeps the Secret of the keys that sign them. It knows nothing of HTTP or of channels.
package tickets

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// SecretName is the Secret of the keys, in the operator's namespace.
const SecretName = "tiktok-operator-link-keys"

const (
	currentKey  = "current"
	previousKey = "previous"
	keySize     = 32
)

// Keys sign and check tickets. The zero value does neither.
type Keys struct {
	// Current signs and checks.
	Current Key
	// Previous checks; it may be empty.
	Previous Key
}

// Key is one HMAC key. However it is printed or logged, only its ID is seen.
type Key struct {
	bytes []byte
}

// NewKey takes at least 32 bytes.
func NewKey(b []byte) (Key, error) {
	if len(b) < keySize {
		return Key{}, fmt.Errorf("a key needs at least %d bytes", keySize)
	}
	return Key{bytes: bytes.Clone(b)}, nil
}

// ID tells keys apart in a ticket's header without giving anything away.
func (k Key) ID() string {
	sum := sha256.Sum256(append([]byte("tiktok-operator key id\x00"), k.bytes...))
	return hex.EncodeToString(sum[:6])
}

// Format implements fmt.Formatter for every verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[key " + k.ID() + "]")) }

// MarshalText implements encoding.TextMarshaler, which encoding/json uses too.
func (k Key) MarshalText() ([]byte, error) { return []byte("[key " + k.ID() + "]"), nil }

// MarshalLog implements logr.Marshaler.
func (k Key) MarshalLog() any { return "[key " + k.ID() + "]" }

// ErrNoKeys says that the Secret of the keys does not exist, or holds none: the manager makes it.
var ErrNoKeys = errors.New("the keys of authorization links do not exist yet: the manager makes them when it starts")

// Load reads the keys. The error is ErrNoKeys, or the API server could not be asked.
func Load(ctx context.Context, r client.Reader, key types.NamespacedName) (Keys, error) {
	secret := &corev1.Secret{}
	if err := r.Get(ctx, key, secret); apierrors.IsNotFound(err) {
		return Keys{}, ErrNoKeys
	} else if err != nil {
		return Keys{}, fmt.Errorf("reading Secret %s: %w", key, err)
	}
	return decode(secret)
}

func decode(secret *corev1.Secret) (Keys, error) {
	current, err := NewKey(secret.Data[currentKey])
	if err != nil {
		return Keys{}, ErrNoKeys
	}
	keys := Keys{Current: current}
	if previous, err := NewKey(secret.Data[previousKey]); err == nil {
		keys.Previous = previous
	}
	return keys, nil
}

// Ensure reads the keys, makes them where there are none or where they were emptied, and rotates them when the annotation
// v1alpha1.RotateRequestedAtAnnotation of the Secret has a new value. Two managers that do so at once end up with the same keys.
func Ensure(ctx context.Context, c client.Client, key types.NamespacedName, _ time.Time) (Keys, error) {
	const tries = 3
	for range tries {
		keys, err := ensure(ctx, c, key)
		if err == nil || (!apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err)) {
			return keys, err
		}
	}
	return Keys{}, fmt.Errorf("writing Secret %s: it changed %d times meanwhile", key, tries)
}

func ensure(ctx context.Context, c client.Client, key types.NamespacedName) (Keys, error) {
	secret := &corev1.Secret{}
	err := c.Get(ctx, key, secret)
	if apierrors.IsNotFound(err) {
		return create(ctx, c, key)
	}
	if err != nil {
		return Keys{}, fmt.Errorf("reading Secret %s: %w", key, err)
	}
	request := secret.Annotations[v1alpha1.RotateRequestedAtAnnotation]
	keys, err := decode(secret)
	if err == nil && (request == "" || request == secret.Annotations[v1alpha1.RotatedAtAnnotation]) {
		return keys, nil
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	if err == nil {
		secret.Data[previousKey] = secret.Data[currentKey]
	}
	secret.Data[currentKey] = newKey()
	if request != "" {
		secret.Annotations[v1alpha1.RotatedAtAnnotation] = request
	}
	if err := c.Update(ctx, secret); err != nil {
		return Keys{}, fmt.Errorf("rotating the keys in Secret %s: %w", key, err)
	}
	return decode(secret)
}

func create(ctx context.Context, c client.Client, key types.NamespacedName) (Keys, error) {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name, Labels: map[string]string{"app.kubernetes.io/managed-by": "tiktok-operator"},
		},
		Data: map[string][]byte{currentKey: newKey()},
	}
	if err := c.Create(ctx, secret); err != nil {
		return Keys{}, fmt.Errorf("creating Secret %s: %w", key, err)
	}
	return decode(secret)
}

func newKey() []byte {
	b := make([]byte, keySize)
	_, _ = rand.Read(b) // never fails
	return b
}
