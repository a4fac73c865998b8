package simulator

import (
	"strings"
	"time"
)

func (s *Simulator) exchangeCode(c *call) (any, *failure) {
	if c.params["grant_type"] != "authorization_code" {
		return nil, refuse(codeParameter, "grant_type: must be authorization_code.")
	}
	g, ok := s.codes.take(c.params["auth_code"], c.now)
	switch {
	case !ok:
		return nil, refuse(codeAuthCode, "The authorization code is invalid, used or expired.")
	case g.redirectURI != c.params["redirect_uri"]:
		return nil, refuse(codeAuthCode, "The redirect_uri differs from the one of the authorization.")
	}
	return tokenData(s.authorizations.add(g.business, g.scopes, c.now)), nil
}

// refreshToken rotates: the refresh token that was sent stops working. No source names the code of a dead one; 40105 it is.
func (s *Simulator) refreshToken(c *call) (any, *failure) {
	if c.params["grant_type"] != "refresh_token" {
		return nil, refuse(codeParameter, "grant_type: must be refresh_token.")
	}
	t, ok := s.authorizations.rotate(c.params["refresh_token"], c.now)
	if !ok {
		return nil, refuse(codeToken, "The refresh token is invalid, used or expired.")
	}
	return tokenData(t), nil
}

func tokenData(t Token) map[string]any {
	return map[string]any{
		"access_token": t.AccessToken, "token_type": "Bearer", "expires_in": int64(t.ExpiresIn / time.Second),
		"refresh_token": t.RefreshToken, "refresh_token_expires_in": int64(t.RefreshTokenExpiresIn / time.Second),
		"open_id": t.OpenID, "scope": strings.Join(t.Scopes, ","),
	}
}

// revokeToken ends everything that the token's business granted, not only this token.
func (s *Simulator) revokeToken(c *call) (any, *failure) {
	auth, ok := s.authorizations.access(c.params["access_token"], c.now)
	if !ok {
		return nil, refuse(codeToken, "Access token is incorrect or has been revoked.")
	}
	s.authorizations.revoke(auth.business)
	return nil, nil
}

func (s *Simulator) tokenInfo(c *call) (any, *failure) {
	auth, ok := s.authorizations.access(c.params["access_token"], c.now)
	if !ok {
		return nil, refuse(codeToken, "Access token is incorrect or has been revoked.")
	}
	return map[string]any{"app_id": s.opts.AppID, "creator_id": auth.business, "scope": strings.Join(auth.scopes, ",")}, nil
}
