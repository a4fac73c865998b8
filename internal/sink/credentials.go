package sink

import (
	"bytes"
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// PreviousSuffix makes, of the key that signingSecretRef names, the key of the same Secret that holds the signing secret before it. While it
// is there, deliveries are signed with both, so that the receiver can change over whenever it likes.
const PreviousSuffix = "_previous"

// signingKey reads what a sink's deliveries are signed with; nil if they are not.
func signingKey(ctx context.Context, reader client.Reader, namespace string, s *v1alpha1.Sink) (*SigningKey, error) {
	ref := s.SigningSecretRef
	if ref == nil {
		return nil, nil
	}
	secret, err := credential(ctx, reader, namespace, s.Name, "signing secret", ref)
	if err != nil {
		return nil, err
	}
	unusable := &SecretNotFoundError{Sink: s.Name, Namespace: namespace, Name: ref.Name, Key: ref.Key}
	key, err := ParseSigningKey(secret.Data[ref.Key])
	if err != nil {
		unusable.Problem = err.Error()
		return nil, unusable
	}
	if previous := secret.Data[ref.Key+PreviousSuffix]; len(bytes.TrimSpace(previous)) > 0 {
		before, err := ParseSigningKey(previous)
		if err != nil {
			unusable.Key, unusable.Problem = ref.Key+PreviousSuffix, err.Error()
			return nil, unusable
		}
		key = key.And(before)
	}
	return key, nil
}

// bearerToken reads what a sink is authorized to with; "" if it is not.
func bearerToken(ctx context.Context, reader client.Reader, namespace string, s *v1alpha1.Sink) (tiktok.Secret, error) {
	ref := s.BearerTokenSecretRef
	if ref == nil {
		return "", nil
	}
	secret, err := credential(ctx, reader, namespace, s.Name, "bearer token", ref)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(secret.Data[ref.Key]))
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", &SecretNotFoundError{
			Sink: s.Name, Namespace: namespace, Name: ref.Name, Key: ref.Key, Problem: "is not a bearer token: it holds spaces or control characters",
		}
	}
	return tiktok.Secret(token), nil
}

// credential reads a Secret whose key holds something.
func credential(
	ctx context.Context, reader client.Reader, namespace, sink, what string, ref *v1alpha1.SecretKeyReference,
) (*corev1.Secret, error) {
	missing := &SecretNotFoundError{Sink: sink, Namespace: namespace, Name: ref.Name, Key: ref.Key}
	var secret corev1.Secret
	if err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, &secret); err != nil {
		if apierrors.IsNotFound(err) {
			missing.Problem = "does not exist: create it with the " + what
			return nil, missing
		}
		return nil, unread(sink, "Secret", namespace, ref.Name, err)
	}
	if len(bytes.TrimSpace(secret.Data[ref.Key])) == 0 {
		missing.Problem = "is missing or empty: put the " + what + " there"
		return nil, missing
	}
	return &secret, nil
}
