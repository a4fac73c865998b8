package v1alpha1

// Labels, annotations, finalizers and Secret keys. The page docs/reference/metadata.md lists them; a test compares the two.
const (
	// ChannelLabel stands on every token Secret that the operator writes; its value is the channel's name. Together with TokenSecretType it
	// makes the Secret the operator's own: a Secret without both is never touched.
	ChannelLabel = Group + "/channel"

	// RefreshRequestedAtAnnotation on a TiktokChannel asks for a token refresh now. Any new value counts; it is answered in
	// status.lastHandledRefreshAt. A channel that waits for a person is tried once more, too.
	RefreshRequestedAtAnnotation = Group + "/refresh-requested-at"

	// RefreshClaimAnnotation on a token Secret names who is refreshing it and since when. It is a lock that expires after 30 seconds, and is
	// written by compare-and-swap, so that two managers never spend one refresh token.
	RefreshClaimAnnotation = Group + "/refresh-claim"

	// AuthorizationEpochAnnotation on a token Secret counts the authorizations that it has received. An authorization link names the epoch it
	// was made in and dies with it.
	AuthorizationEpochAnnotation = Group + "/authorization-epoch"

	// ObtainedAtAnnotation on a token Secret is the RFC 3339 time at which TikTok issued the tokens in it.
	ObtainedAtAnnotation = Group + "/obtained-at"

	// AuthorizationRemovedAtAnnotation on a token Secret says that TikTok told by webhook that the authorization was removed: the RFC 3339
	// time of that, a space, and TikTok's number of the reason. The tokens are not refreshed any more. A new authorization removes it, and so
	// does a refresh that was asked for by RefreshRequestedAtAnnotation and succeeds.
	AuthorizationRemovedAtAnnotation = Group + "/authorization-removed-at"

	// RotateRequestedAtAnnotation on the Secret of link-signing keys makes the manager sign with a new key; the old one still verifies until
	// the next rotation.
	RotateRequestedAtAnnotation = Group + "/rotate-requested-at"

	// RotatedAtAnnotation on that Secret repeats the request that was answered last.
	RotatedAtAnnotation = Group + "/rotated-at"

	// ChannelUIDAnnotation on a business Lease is the UID of the channel that holds the business.
	ChannelUIDAnnotation = Group + "/channel-uid"

	// BusinessLabel marks the Leases by which a channel holds a business, cluster-wide.
	BusinessLabel = Group + "/business"

	// Finalizer keeps a channel until its tokens are dealt with as spec.deletionPolicy says, and an app until no channel uses it.
	Finalizer = Group + "/finalizer"

	// TokenSecretType is the type of the Secrets that hold a channel's tokens.
	TokenSecretType = Group + "/token"
)

// Keys of a token Secret. Times are RFC 3339 in UTC.
const (
	AccessTokenKey           = "access_token"
	RefreshTokenKey          = "refresh_token"
	AccessTokenExpiresAtKey  = "access_token_expires_at"
	RefreshTokenExpiresAtKey = "refresh_token_expires_at"
	BusinessIDKey            = "business_id"
	ScopeKey                 = "scope"
)

// Keys of the Secret that a TiktokApp's secretRef names.
const (
	// DefaultAppSecretKey is the key read where spec.secretRef.key is not set.
	DefaultAppSecretKey = "app_secret"
	// PreviousAppSecretKey optionally holds the secret before a rotation: it still verifies webhooks.
	PreviousAppSecretKey = "app_secret_previous"
)
