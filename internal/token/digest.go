package token

import (
	"crypto/sha256"
	"encoding/hex"

	corev1 "k8s.io/api/core/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// Digest fingerprints a token for one channel ("namespace/name"), so that two contents can be told apart without keeping either. It is
// salted and cut to 16 bytes: it neither reveals a token nor shows that two channels share one.
func Digest(channel string, token tiktok.Secret) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("tiktok-operator token digest\x00" + channel + "\x00" + token.Reveal()))
	return hex.EncodeToString(sum[:16])
}

// ImportDigest fingerprints the content of an import Secret that matters: its tokens.
func ImportDigest(channel string, s *corev1.Secret) string {
	return Digest(channel, tiktok.Secret(string(s.Data[v1alpha1.RefreshTokenKey])+"\x00"+string(s.Data[v1alpha1.AccessTokenKey])))
}
