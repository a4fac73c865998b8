package simulator

import (
	"net/http"
	"time"
)

// apiPrefix is the path of the API's base URL. What follows it is the endpoint's name.
const apiPrefix = "/open_api/v1.3/"

// endpoint is one path of the API.
type endpoint struct {
	method string
	params []parameter
	// needsToken: the header Access-Token must hold a token that works, of the business that business_id names.
	needsToken bool
	// scope that the token must have.
	scope  string
	handle func(*Simulator, *call) (data any, fail *failure)
}

// parameter is one that an endpoint knows.
type parameter struct {
	name     string
	optional bool
	// list: an array of strings; in a query its JSON.
	list bool
	// secret: shown in the log of calls as a fingerprint.
	secret bool
}

// call is one call, decoded.
type call struct {
	endpoint    string
	params      map[string]string
	lists       map[string][]string
	accessToken string
	// authorization behind accessToken; only where the endpoint needs one.
	authorization *authorization
	now           time.Time
}

// endpoints is the whole API: what has no row here is answered with 404.
func endpoints() map[string]endpoint {
	var (
		clientID     = parameter{name: "client_id"}
		clientSecret = parameter{name: "client_secret", secret: true}
		grantType    = parameter{name: "grant_type"}
		appID        = parameter{name: "app_id"}
		secret       = parameter{name: "secret", secret: true}
		accessToken  = parameter{name: "access_token", secret: true}
		eventType    = parameter{name: "event_type"}
		businessID   = parameter{name: "business_id"}
	)
	return map[string]endpoint{
		"tt_user/oauth2/token/": {
			method: http.MethodPost,
			params: []parameter{clientID, clientSecret, grantType, {name: "auth_code", secret: true}, {name: "redirect_uri"}},
			handle: (*Simulator).exchangeCode,
		},
		"tt_user/oauth2/refresh_token/": {
			method: http.MethodPost,
			// One source sends redirect_uri here; whether TikTok minds is not known.
			params: []parameter{clientID, clientSecret, grantType, {name: "refresh_token", secret: true}, {name: "redirect_uri", optional: true}},
			handle: (*Simulator).refreshToken,
		},
		"tt_user/oauth2/revoke/": {
			method: http.MethodPost, params: []parameter{clientID, clientSecret, accessToken}, handle: (*Simulator).revokeToken,
		},
		"tt_user/token_info/get/": {
			method: http.MethodPost, params: []parameter{appID, accessToken}, handle: (*Simulator).tokenInfo,
		},
		"business/get/": {
			method: http.MethodGet, params: []parameter{businessID, {name: "fields", list: true, optional: true}},
			needsToken: true, scope: scopeBasic, handle: (*Simulator).getBusiness,
		},
		"business/message/conversation/list/": {
			method: http.MethodGet,
			params: []parameter{
				businessID, {name: "conversation_type"}, {name: "limit", optional: true}, {name: "cursor", optional: true},
			},
			needsToken: true, scope: scopeReadMessages, handle: (*Simulator).listConversations,
		},
		"business/message/content/list/": {
			method: http.MethodGet, params: []parameter{businessID, {name: "conversation_id"}},
			needsToken: true, scope: scopeReadMessages, handle: (*Simulator).listContent,
		},
		"business/webhook/list/": {
			method: http.MethodGet, params: []parameter{appID, secret, eventType}, handle: (*Simulator).listWebhook,
		},
		"business/webhook/update/": {
			method: http.MethodPost,
			params: []parameter{appID, secret, eventType, {name: "callback_url"}, {name: "item_list", list: true, optional: true}},
			handle: (*Simulator).updateWebhook,
		},
		"business/webhook/delete/": {
			method: http.MethodPost, params: []parameter{appID, secret, eventType}, handle: (*Simulator).deleteWebhook,
		},
	}
}
