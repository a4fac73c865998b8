package journal

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// Entry is one refresh.
type Entry struct {
	// Namespace, Name and UID of the channel.
	Namespace, Name, UID string
	// BaseDigest is the digest of the refresh token that the token Secret held when the refresh began; "" if none. The Secret is overwritten
	// only if it still holds that token.
	BaseDigest string
	// Memory is what is stored with the tokens.
	Memory token.Memory
	// Tokens are nil until TikTok answered.
	Tokens *token.Tokens
	// StartedAt is when the refresh began.
	StartedAt time.Time
}

// The file format. Tokens refuse to be marshalled by themselves, on purpose: here, and in the Secret, is where they may be written out.
type (
	entryFile struct {
		Namespace  string       `json:"namespace"`
		Name       string       `json:"name"`
		UID        string       `json:"uid"`
		BaseDigest string       `json:"baseDigest"`
		Memory     token.Memory `json:"memory"`
		Tokens     *tokensFile  `json:"tokens,omitempty"`
		StartedAt  time.Time    `json:"startedAt"`
	}
	tokensFile struct {
		AccessToken           string    `json:"accessToken"`
		RefreshToken          string    `json:"refreshToken"`
		AccessTokenExpiresAt  time.Time `json:"accessTokenExpiresAt"`
		RefreshTokenExpiresAt time.Time `json:"refreshTokenExpiresAt"`
		BusinessID            string    `json:"businessID"`
		Scopes                []string  `json:"scopes"`
		ObtainedAt            time.Time `json:"obtainedAt"`
	}
)

func encode(e Entry) entryFile {
	f := entryFile{
		Namespace: e.Namespace, Name: e.Name, UID: e.UID, BaseDigest: e.BaseDigest, Memory: e.Memory, StartedAt: e.StartedAt,
	}
	if t := e.Tokens; t != nil {
		f.Tokens = &tokensFile{
			AccessToken: t.AccessToken.Reveal(), RefreshToken: t.RefreshToken.Reveal(),
			AccessTokenExpiresAt: t.AccessTokenExpiresAt, RefreshTokenExpiresAt: t.RefreshTokenExpiresAt,
			BusinessID: t.BusinessID, Scopes: t.Scopes, ObtainedAt: t.ObtainedAt,
		}
	}
	return f
}

func decode(text []byte) (Entry, error) {
	var f entryFile
	if err := json.Unmarshal(text, &f); err != nil {
		return Entry{}, err
	}
	if f.Namespace == "" || f.Name == "" || f.UID == "" {
		return Entry{}, errors.New("no channel")
	}
	e := Entry{
		Namespace: f.Namespace, Name: f.Name, UID: f.UID, BaseDigest: f.BaseDigest, Memory: f.Memory, StartedAt: f.StartedAt,
	}
	if t := f.Tokens; t != nil {
		if t.RefreshToken == "" {
			return Entry{}, errors.New("no refresh token")
		}
		e.Tokens = &token.Tokens{
			AccessToken: tiktok.Secret(t.AccessToken), RefreshToken: tiktok.Secret(t.RefreshToken),
			AccessTokenExpiresAt: t.AccessTokenExpiresAt, RefreshTokenExpiresAt: t.RefreshTokenExpiresAt,
			BusinessID: t.BusinessID, Scopes: t.Scopes, ObtainedAt: t.ObtainedAt,
		}
	}
	return e, nil
}
