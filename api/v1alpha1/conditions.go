package v1alpha1

// Condition types of a TiktokChannel and of a TiktokApp. Reconciling and Stalled follow kstatus: they are present only while True.
const (
	// ReadyCondition summarises: True when the channel can receive events and send messages (an app: when its channels can use it).
	ReadyCondition = "Ready"
	// ReconcilingCondition is True while the operator, or a person it waits for, still has something to do and nothing has failed for good.
	ReconcilingCondition = "Reconciling"
	// StalledCondition is True when nothing will change until a person acts: the message says what to do. What a later try of the operator may
	// settle, without anybody touching TikTok's portal or these objects, is Reconciling, however long it lasts.
	StalledCondition = "Stalled"

	// AuthorizedCondition is True while TikTok has granted the channel every required scope and has not taken that back.
	AuthorizedCondition = "Authorized"
	// TokenFreshCondition is True while the access token is alive and refreshes succeed. It warns when the refresh token nears its end.
	TokenFreshCondition = "TokenFresh"
	// ReauthorizationRequiredCondition is the alarm: True when a channel that was authorized needs a person to authorize it again.
	ReauthorizationRequiredCondition = "ReauthorizationRequired"
	// SinksResolvedCondition is True when every sink of the channel has an address and its Secrets, and none fails all the time.
	SinksResolvedCondition = "SinksResolved"

	// CredentialsValidCondition (TiktokApp) is True while TikTok accepts the app id and secret.
	CredentialsValidCondition = "CredentialsValid"
	// WebhookRegisteredCondition (TiktokApp) is True while TikTok says that it delivers the app's webhooks to this operator. It is Unknown where the
	// registration is left to others and TikTok does not say that; Ready does not depend on it then.
	WebhookRegisteredCondition = "WebhookRegistered"
)

// Reasons that several conditions share.
const (
	// ReasonSucceeded: the condition's work is done and holds.
	ReasonSucceeded = "Succeeded"
	// ReasonSuspended: spec.suspend is set; nothing is refreshed, dispatched or sent. Inbound events are still stored.
	ReasonSuspended = "Suspended"
	// ReasonDeleting: the object is being deleted and waits for what its message names.
	ReasonDeleting = "Deleting"
	// ReasonTransientFailure: TikTok or the network failed in passing; the message says what and when the next try is.
	ReasonTransientFailure = "TransientFailure"
	// ReasonRateLimited: TikTok said too many requests; calls of the app pause until the time in the message.
	ReasonRateLimited = "RateLimited"
)

// Reasons of a TiktokChannel.
const (
	// ReasonAwaitingAuthorization: nobody has authorized the channel yet; open status.authorizationURL. Normal for a new channel.
	ReasonAwaitingAuthorization = "AwaitingAuthorization"
	// ReasonAuthorized: TikTok granted every required scope.
	ReasonAuthorized = "Authorized"
	// ReasonNotRequired: no person needs to act.
	ReasonNotRequired = "NotRequired"
	// ReasonAppNotFound: spec.appRef names no TiktokApp. The channel goes on when one appears.
	ReasonAppNotFound = "AppNotFound"
	// ReasonAppNotAllowed: the TiktokApp does not allow channels of this namespace (spec.allowedNamespaces); nothing is refreshed, dispatched or
	// sent. Inbound events are still stored.
	ReasonAppNotAllowed = "AppNotAllowed"
	// ReasonAppNotReady: the TiktokApp's credentials are missing or refused. The channel keeps its authorization and goes on by itself
	// when the app recovers.
	ReasonAppNotReady = "AppNotReady"
	// ReasonTokenFresh: the access token is alive.
	ReasonTokenFresh = "TokenFresh"
	// ReasonRefreshFailing: refreshes fail in passing; the access token is still alive (TokenFresh) or has expired (Ready).
	ReasonRefreshFailing = "RefreshFailing"
	// ReasonTokenExpired: the access token has expired and could not be refreshed in time; refreshes go on.
	ReasonTokenExpired = "TokenExpired"
	// ReasonRefreshTokenExpiring: the refresh token ends within 14 days. Every refresh brings a new one, so refreshes have been failing.
	ReasonRefreshTokenExpiring = "RefreshTokenExpiring"
	// ReasonNoToken: there are no tokens yet, or no longer.
	ReasonNoToken = "NoToken"
	// ReasonRefreshTokenRefused: TikTok refused the refresh token while the app's own credentials are good: the business disconnected,
	// or the token was spent elsewhere.
	ReasonRefreshTokenRefused = "RefreshTokenRefused"
	// ReasonAuthorizationRemoved: TikTok told by webhook that the authorization was removed; the message says why, as far as TikTok does.
	ReasonAuthorizationRemoved = "AuthorizationRemoved"
	// ReasonRefreshTokenExpired: the refresh token's year is over.
	ReasonRefreshTokenExpired = "RefreshTokenExpired"
	// ReasonScopesMissing: the business did not grant, or took back, a required scope; the message names it.
	ReasonScopesMissing = "ScopesMissing"
	// ReasonTokenSecretMissing: the token Secret of an authorized channel was deleted, or its refresh_token was removed.
	ReasonTokenSecretMissing = "TokenSecretMissing"
	// ReasonTokenSecretNotOwned: a Secret of the token Secret's name exists that is not this channel's. It is not touched: rename it, or set
	// spec.tokenSecretRef.name.
	ReasonTokenSecretNotOwned = "TokenSecretNotOwned"
	// ReasonTokenSecretNotWritable: the token Secret cannot be written (immutable, or forbidden), so no refresh is risked.
	ReasonTokenSecretNotWritable = "TokenSecretNotWritable"
	// ReasonImportSecretNotFound: spec.importTokensFrom names no Secret yet; the channel goes on when it appears.
	ReasonImportSecretNotFound = "ImportSecretNotFound"
	// ReasonImportSecretInvalid: the Secret of spec.importTokensFrom holds no refresh_token.
	ReasonImportSecretInvalid = "ImportSecretInvalid"
	// ReasonImportRefused: TikTok refused the imported refresh token; it was spent elsewhere or is another app's.
	ReasonImportRefused = "ImportRefused"
	// ReasonBusinessMismatch: the tokens belong to another business than spec.businessID pins.
	ReasonBusinessMismatch = "BusinessMismatch"
	// ReasonBusinessInUse: another channel holds the business; a business has one channel in a cluster.
	ReasonBusinessInUse = "BusinessInUse"
	// ReasonBusinessUnconfirmed: the token Secret names a business that TikTok has not confirmed to this channel, since it was restored,
	// retained or written by hand. A refresh asks TikTok; until it has answered, the business's events do not go to this channel.
	ReasonBusinessUnconfirmed = "BusinessUnconfirmed"
	// ReasonNoSinks: spec.sinks is empty: events are stored and can be read, but are delivered nowhere.
	ReasonNoSinks = "NoSinks"
	// ReasonSinksResolved: every sink has an address and its Secrets.
	ReasonSinksResolved = "SinksResolved"
	// ReasonSinkServiceNotFound: a sink's Service, or the port named, does not exist.
	ReasonSinkServiceNotFound = "SinkServiceNotFound"
	// ReasonSinkSecretNotFound: a sink's signing or bearer token Secret, or its key, does not exist.
	ReasonSinkSecretNotFound = "SinkSecretNotFound"
	// ReasonSinkNotReadable: the manager may not read a sink's Service or Secret; the message says which.
	ReasonSinkNotReadable = "SinkNotReadable"
	// ReasonSinkInvalid: a sink cannot be used as it is described; the message says why.
	ReasonSinkInvalid = "SinkInvalid"
	// ReasonSinkFailing: a sink has taken no event for more than a minute; the message says which, and why, such as the address that its name
	// leads to and may not, or the Secret that the webhook deployment may not read. The channel stays Ready: its events are kept and tried again.
	ReasonSinkFailing = "SinkFailing"
)

// Reasons of a TiktokApp.
const (
	// ReasonSecretNotFound: spec.secretRef names no Secret, or the Secret lacks the key.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretNotReadable: the operator may not read the Secret that spec.secretRef names. It must be in the operator's namespace, or in one that
	// the operator serves, where it serves some only.
	ReasonSecretNotReadable = "SecretNotReadable"
	// ReasonCredentialsAccepted: TikTok accepted the app id and secret.
	ReasonCredentialsAccepted = "CredentialsAccepted"
	// ReasonCredentialsRefused: TikTok refused the app id and secret, or the app itself. No business is asked to authorize again.
	ReasonCredentialsRefused = "CredentialsRefused"
	// ReasonWebhookRegistered: TikTok's webhook configuration names this operator.
	ReasonWebhookRegistered = "WebhookRegistered"
	// ReasonExternallyManaged: spec.webhook.registration is External: the operator tells what TikTok says of the registration, and changes nothing.
	ReasonExternallyManaged = "ExternallyManaged"
	// ReasonRegistrationRefused: TikTok refused the webhook registration; the message has TikTok's words. Reconciling, since the address may become
	// reachable: the operator asks again. Stalled if TikTok says that the app lacks the permission.
	ReasonRegistrationRefused = "RegistrationRefused"
	// ReasonDuplicateApp: an older TiktokApp has the same app id and owns the webhook; this one waits.
	ReasonDuplicateApp = "DuplicateApp"
	// ReasonInvalidEndpoint: spec.endpoints cannot be used.
	ReasonInvalidEndpoint = "InvalidEndpoint"
	// ReasonChannelsExist: the app is being deleted but channels still use it.
	ReasonChannelsExist = "ChannelsExist"
)

// Reasons of Kubernetes Events. A condition's reason is also the reason of the event that announces it, a Warning: of a TiktokChannel when Stalled
// turns True, and of a TiktokApp when CredentialsValid turns False (CredentialsRefused, SecretNotFound, SecretNotReadable, InvalidEndpoint). The
// app's is one for all of its channels, which may be thousands; theirs show in their conditions.
const (
	// EventRefreshed: the tokens were refreshed.
	EventRefreshed = "Refreshed"
	// EventRefreshFailed: a refresh failed in passing and will be tried again.
	EventRefreshFailed = "RefreshFailed"
	// EventReauthorizationRequired: a person must authorize the channel again.
	EventReauthorizationRequired = "ReauthorizationRequired"
	// EventAuthorized: a channel was authorized, or authorized again.
	EventAuthorized = "Authorized"
	// EventImported: tokens were imported from spec.importTokensFrom.
	EventImported = "Imported"
	// EventImportIgnored: spec.importTokensFrom held tokens that TikTok refused; the working ones were kept.
	EventImportIgnored = "ImportIgnored"
	// EventRefreshTokenExpiring: the refresh token ends within 14 days.
	EventRefreshTokenExpiring = "RefreshTokenExpiring"
	// EventRevoked: the tokens were revoked at TikTok on deletion.
	EventRevoked = "Revoked"
	// EventRevokeFailed: the tokens could not be revoked at TikTok on deletion.
	EventRevokeFailed = "RevokeFailed"
	// EventCredentialsAccepted: TikTok accepts the app id and secret again.
	EventCredentialsAccepted = "CredentialsAccepted"
	// EventWebhookRegistered: the webhook was registered at TikTok, or repaired after drift.
	EventWebhookRegistered = "WebhookRegistered"
	// EventWebhookRemoved: an event type that left spec.webhook.eventTypes was taken off TikTok.
	EventWebhookRemoved = "WebhookRemoved"
	// EventAuthorizationRefused: an authorization ended without a token: denied, scopes missing, wrong or used account.
	EventAuthorizationRefused = "AuthorizationRefused"
	// EventSinkFailing: a sink has taken no event for more than a minute.
	EventSinkFailing = "SinkFailing"
	// EventSinkRecovered: a sink that failed takes events again.
	EventSinkRecovered = "SinkRecovered"
)
