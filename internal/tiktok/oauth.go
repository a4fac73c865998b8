package tiktok

import (
	"context"
	"net/http"
	"time"
)

// Lifetimes that are assumed where TikTok does not say.
const (
	defaultAccessTokenLifetime  = 24 * time.Hour
	defaultRefreshTokenLifetime = 365 * 24 * time.Hour
	maxLifetime                 = 10 * 365 * 24 * time.Hour
)

// Token is what TikTok issues.
type Token struct {
	// AccessToken and RefreshToken are never empty.
	AccessToken, RefreshToken Secret
	// TokenType is TikTok's name of the kind; "" if it did not say.
	TokenType string
	// ExpiresIn and RefreshTokenExpiresIn count from when TikTok answered. They are a day and a year where TikTok did not say.
	ExpiresIn, RefreshTokenExpiresIn time.Duration
	// OpenID is the business_id of every other call; "" if TikTok did not say.
	OpenID string
	// Scopes that were granted; nil if TikTok did not say.
	Scopes []string
}

// ExchangeCode trades an authorization code for tokens. A code works once and for ten minutes; redirectURI is the one that it was issued for.
func (c *Client) ExchangeCode(ctx context.Context, code, redirectURI string) (*Token, error) {
	return c.token(ctx, call{
		method: http.MethodPost, endpoint: "tt_user/oauth2/token/",
		body: map[string]string{
			"client_id": c.config.AppID, "client_secret": c.config.AppSecret.Reveal(),
			"grant_type": "authorization_code", "auth_code": code, "redirect_uri": redirectURI,
		},
		secrets: []Secret{Secret(code)},
	})
}

// RefreshToken trades a refresh token for new tokens. The old refresh token stops working, also where the answer is lost: make the call again
// only after an Error with NotSent, or of a class that says that TikTok did not process it.
func (c *Client) RefreshToken(ctx context.Context, refreshToken Secret) (*Token, error) {
	return c.token(ctx, call{
		method: http.MethodPost, endpoint: "tt_user/oauth2/refresh_token/",
		body: map[string]string{
			"client_id": c.config.AppID, "client_secret": c.config.AppSecret.Reveal(),
			"grant_type": "refresh_token", "refresh_token": refreshToken.Reveal(),
		},
		secrets: []Secret{refreshToken},
	})
}

// RevokeToken ends an authorization at TikTok.
func (c *Client) RevokeToken(ctx context.Context, accessToken Secret) error {
	return c.do(ctx, call{
		method: http.MethodPost, endpoint: "tt_user/oauth2/revoke/",
		body: map[string]string{
			"client_id": c.config.AppID, "client_secret": c.config.AppSecret.Reveal(), "access_token": accessToken.Reveal(),
		},
		secrets: []Secret{accessToken},
	}, nil)
}

// tokenData is the data of both token endpoints.
type tokenData struct {
	AccessToken           text   `json:"access_token"`
	RefreshToken          text   `json:"refresh_token"`
	TokenType             text   `json:"token_type"`
	ExpiresIn             number `json:"expires_in"`
	RefreshTokenExpiresIn number `json:"refresh_token_expires_in"`
	OpenID                text   `json:"open_id"`
	Scope                 scopes `json:"scope"`
}

// lacks implements complete. Half a pair of tokens must never be stored over a whole one.
func (d *tokenData) lacks() string {
	switch {
	case d.AccessToken == "":
		return "access_token"
	case d.RefreshToken == "":
		return "refresh_token"
	default:
		return ""
	}
}

func (c *Client) token(ctx context.Context, r call) (*Token, error) {
	var data tokenData
	if err := c.do(ctx, r, &data); err != nil {
		return nil, err
	}
	return &Token{
		AccessToken: Secret(data.AccessToken), RefreshToken: Secret(data.RefreshToken), TokenType: string(data.TokenType),
		ExpiresIn:             lifetime(data.ExpiresIn, defaultAccessTokenLifetime),
		RefreshTokenExpiresIn: lifetime(data.RefreshTokenExpiresIn, defaultRefreshTokenLifetime),
		OpenID:                string(data.OpenID), Scopes: data.Scope,
	}, nil
}

// lifetime bounds what TikTok says: a token that lives for ever would never be refreshed, and one that is dead on arrival always.
func lifetime(seconds number, fallback time.Duration) time.Duration {
	if seconds <= 0 {
		return fallback
	}
	return time.Duration(min(int64(seconds), int64(maxLifetime/time.Second))) * time.Second
}
