package oauth

import "net/http"

// Result is what came of a request, for programs: every page carries it in <meta name="tiktok-operator:result">. The values are stable.
type Result string

// Results.
const (
	// ResultRedirected: the browser was sent on to TikTok. There is no page.
	ResultRedirected Result = "redirected"
	// ResultGranted: the channel is connected.
	ResultGranted Result = "granted"
	// ResultDenied: the person did not consent.
	ResultDenied Result = "denied"
	// ResultScopesMissing: the person left out a permission that the app requires.
	ResultScopesMissing Result = "scopes_missing"
	// ResultWrongAccount: the channel is for another TikTok account.
	ResultWrongAccount Result = "wrong_account"
	// ResultAccountInUse: another channel of the cluster holds the TikTok account.
	ResultAccountInUse Result = "account_in_use"
	// ResultLinkExpired: the link is older than a day.
	ResultLinkExpired Result = "link_expired"
	// ResultLinkSuperseded: the channel was authorized since the link was made.
	ResultLinkSuperseded Result = "link_superseded"
	// ResultLinkInvalid: the link was not made here, or is incomplete.
	ResultLinkInvalid Result = "link_invalid"
	// ResultStateInvalid: the callback does not belong to an authorization that was started here.
	ResultStateInvalid Result = "state_invalid"
	// ResultStateExpired: TikTok's consent took longer than ten minutes.
	ResultStateExpired Result = "state_expired"
	// ResultStateReused: the callback was used before.
	ResultStateReused Result = "state_reused"
	// ResultBrowserMismatch: the callback came from another browser than the start, or cookies are blocked.
	ResultBrowserMismatch Result = "browser_mismatch"
	// ResultCodeRefused: TikTok no longer accepts its own authorization code.
	ResultCodeRefused Result = "code_refused"
	// ResultInvalidScope: TikTok has not approved the app for one of the scopes.
	ResultInvalidScope Result = "invalid_scope"
	// ResultAppRefused: TikTok refuses the app's id and secret, or the app itself.
	ResultAppRefused Result = "app_refused"
	// ResultTikTokRefused: TikTok refused for a reason that is not known here.
	ResultTikTokRefused Result = "tiktok_refused"
	// ResultTikTokUnreachable: TikTok did not answer, or not sensibly.
	ResultTikTokUnreachable Result = "tiktok_unreachable"
	// ResultTikTokBusy: the app has made too many requests.
	ResultTikTokBusy Result = "tiktok_busy"
	// ResultAppNotReady: the channel's TiktokApp does not exist, or its credentials are missing or refused.
	ResultAppNotReady Result = "app_not_ready"
	// ResultNamespaceNotAllowed: the TiktokApp does not serve the channel's namespace.
	ResultNamespaceNotAllowed Result = "namespace_not_allowed"
	// ResultChannelGone: the channel does not exist any more.
	ResultChannelGone Result = "channel_gone"
	// ResultSecretUnusable: the channel's token Secret is somebody else's, or cannot be written.
	ResultSecretUnusable Result = "token_secret_unusable"
	// ResultUnavailable: the cluster could not be asked, or did not store the tokens in time.
	ResultUnavailable Result = "unavailable"
	// ResultReceiptExpired: the page of an earlier authorization was opened again much later.
	ResultReceiptExpired Result = "receipt_expired"
	// ResultNotFound: there is no such page.
	ResultNotFound Result = "not_found"
	// ResultMethodNotAllowed: the page cannot be asked for in this way.
	ResultMethodNotAllowed Result = "method_not_allowed"
)

// Status is the HTTP status that goes with the result. 4xx: the person, or the channel's owner, can act. 502: TikTok. 503: the operator, or
// whoever owns the TiktokApp.
func (r Result) Status() int {
	switch r {
	case ResultGranted:
		return http.StatusOK
	case ResultLinkInvalid, ResultStateInvalid, ResultCodeRefused:
		return http.StatusBadRequest
	case ResultDenied, ResultScopesMissing, ResultBrowserMismatch, ResultNamespaceNotAllowed:
		return http.StatusForbidden
	case ResultNotFound:
		return http.StatusNotFound
	case ResultMethodNotAllowed:
		return http.StatusMethodNotAllowed
	case ResultWrongAccount, ResultAccountInUse, ResultStateReused, ResultSecretUnusable:
		return http.StatusConflict
	case ResultLinkExpired, ResultLinkSuperseded, ResultStateExpired, ResultChannelGone, ResultReceiptExpired:
		return http.StatusGone
	case ResultTikTokUnreachable, ResultTikTokRefused:
		return http.StatusBadGateway
	case ResultTikTokBusy, ResultAppRefused, ResultInvalidScope, ResultAppNotReady, ResultUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// Results are all results that a page can have, for documentation and tests.
func Results() []Result {
	return []Result{
		ResultGranted, ResultDenied, ResultScopesMissing, ResultWrongAccount, ResultAccountInUse, ResultLinkExpired, ResultLinkSuperseded,
		ResultLinkInvalid, ResultStateInvalid, ResultStateExpired, ResultStateReused, ResultBrowserMismatch, ResultCodeRefused,
		ResultInvalidScope, ResultAppRefused, ResultTikTokRefused, ResultTikTokUnreachable, ResultTikTokBusy, ResultAppNotReady,
		ResultNamespaceNotAllowed, ResultChannelGone, ResultSecretUnusable, ResultUnavailable, ResultReceiptExpired, ResultNotFound,
		ResultMethodNotAllowed,
	}
}
