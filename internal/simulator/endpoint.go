package simulator

import (
	"encoding/json"
	"net/http"
	"time"
)

// apiPrefix is the path of the API's base URL. What follows it is the endpoint's name.
const apiPrefix = "/open_api/v1.3/"

// endpoint is one path of the API.
type endpoint struct {
	method string
	params []parameter
	// form: the body is multipart, with the file in the field "file".
	form bool
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
	// object: a JSON object.
	object bool
	// secret: shown in the log of calls as a fingerprint.
	secret bool
}

// call is one call, decoded.
type call struct {
	endpoint string
	params   map[string]string
	lists    map[string][]string
	objects  map[string]json.RawMessage
	// file of a form.
	file []byte
	// base is the address that the call came to, without a path.
	base        string
	accessToken string
	// authorization behind accessToken; only where the endpoint needs one.
	authorization *authorization
	now           time.Time
}

// maxBody is how long a body may be.
func (e endpoint) maxBody() int64 {
	if e.form {
		return maxForm
	}
	return maxBody
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
		"business/message/send/": {
			method: http.MethodPost,
			params: []parameter{
				businessID, {name: "recipient_type"}, {name: "recipient"}, {name: "message_type"}, {name: "text", object: true, optional: true},
				{name: "image", object: true, optional: true}, {name: "share_post", object: true, optional: true},
				{name: "template", object: true, optional: true}, {name: "sender_action", optional: true},
				{name: "referenced_message_info", object: true, optional: true},
			},
			needsToken: true, scope: scopeSendMessages, handle: (*Simulator).sendMessage,
		},
		"business/message/media/upload/": {
			method: http.MethodPost, form: true, params: []parameter{businessID, {name: "media_type"}},
			needsToken: true, scope: scopeSendMessages, handle: (*Simulator).uploadMedia,
		},
		"business/message/media/download/": {
			method:     http.MethodPost,
			params:     []parameter{businessID, {name: "conversation_id"}, {name: "message_id"}, {name: "media_id"}, {name: "media_type"}},
			needsToken: true, scope: scopeReadMessages, handle: (*Simulator).downloadMedia,
		},
		"business/message/capabilities/get/": {
			method:     http.MethodGet,
			params:     []parameter{businessID, {name: "conversation_id"}, {name: "conversation_type"}, {name: "capability_types", list: true}},
			needsToken: true, scope: scopeReadMessages, handle: (*Simulator).getCapabilities,
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
