package tiktok

import (
	"context"
	"net/http"
)

// TokenInfo is what TikTok says of an access token. Fields may be empty.
type TokenInfo struct {
	// AppID is the app that the token was issued to.
	AppID string
	// CreatorID should be the business's open_id.
	CreatorID string
	// Scopes that the token has.
	Scopes []string
}

// TokenInfo asks TikTok about an access token.
func (c *Client) TokenInfo(ctx context.Context, accessToken Secret) (*TokenInfo, error) {
	var data struct {
		AppID     text   `json:"app_id"`
		CreatorID text   `json:"creator_id"`
		Scope     scopes `json:"scope"`
	}
	err := c.do(ctx, call{
		method: http.MethodPost, endpoint: "tt_user/token_info/get/",
		body:    map[string]string{"app_id": c.config.AppID, "access_token": accessToken.Reveal()},
		secrets: []Secret{accessToken},
	}, &data)
	if err != nil {
		return nil, err
	}
	return &TokenInfo{AppID: string(data.AppID), CreatorID: string(data.CreatorID), Scopes: data.Scope}, nil
}

// BusinessProfile is how a business shows itself. Fields may be empty.
type BusinessProfile struct {
	// Username is the handle, DisplayName what is shown beside it.
	Username, DisplayName string
	// ProfileImageURL expires after a while.
	ProfileImageURL string
}

// BusinessProfile reads a business's profile.
func (c *Client) BusinessProfile(ctx context.Context, accessToken Secret, businessID string) (*BusinessProfile, error) {
	var data struct {
		Username     text `json:"username"`
		DisplayName  text `json:"display_name"`
		ProfileImage text `json:"profile_image"`
	}
	err := c.do(ctx, call{
		method: http.MethodGet, endpoint: "business/get/", accessToken: &accessToken,
		query: map[string]string{"business_id": businessID, "fields": `["username","display_name","profile_image"]`},
	}, &data)
	if err != nil {
		return nil, err
	}
	return &BusinessProfile{
		Username: string(data.Username), DisplayName: string(data.DisplayName), ProfileImageURL: string(data.ProfileImage),
	}, nil
}
