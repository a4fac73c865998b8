package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DeletionPolicy says what happens to the authorization at TikTok when the channel is deleted.
// +kubebuilder:validation:Enum=Retain;Revoke
type DeletionPolicy string

const (
	// DeletionRetain leaves the authorization at TikTok and the token Secret in place. A channel of the same name that is created later goes
	// on with them.
	DeletionRetain DeletionPolicy = "Retain"
	// DeletionRevoke revokes the tokens at TikTok and deletes the token Secret before the channel goes.
	DeletionRevoke DeletionPolicy = "Revoke"
)

// TiktokChannelSpec describes how one TikTok business account is connected.
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.businessID) || (has(self.businessID) && self.businessID == oldSelf.businessID)",message="businessID is immutable once set: create another channel for another business",fieldPath=".businessID"
type TiktokChannelSpec struct {
	// appRef names the TiktokApp that the business authorizes. It cannot be changed: tokens belong to the app they were issued to.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="appRef is immutable: tokens belong to the app they were issued to; create another channel instead"
	AppRef TiktokAppReference `json:"appRef"`

	// businessID pins the channel to one business account (TikTok's open_id): an authorization by any other account is refused. Leave it
	// out to accept whoever authorizes first. Immutable once set.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^[!-~]+$')",message="businessID may hold only visible ASCII characters"
	BusinessID string `json:"businessID,omitempty"`

	// tokenSecretRef names the Secret in the channel's namespace that the operator writes tokens to. Default: <channel>-tiktok-token. The
	// operator owns that Secret; if one of that name exists that is not its own, it is left alone and the channel is Stalled.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="tokenSecretRef is immutable once set: the tokens are in that Secret"
	TokenSecretRef *SecretReference `json:"tokenSecretRef,omitempty"`

	// importTokensFrom names a Secret of yours in the channel's namespace, with at least the key refresh_token, to bring tokens from another
	// system. It is copied once into the operator's own Secret, and again only when its content changes; it is never written. TikTok rotates
	// refresh tokens, so your copy is stale at once: that is expected, and re-syncing it does no harm. Label your Secret
	// channels.tiktok-operator.io/channel=<channel> to have changes noticed at once instead of within ten minutes.
	// +optional
	ImportTokensFrom *SecretReference `json:"importTokensFrom,omitempty"`

	// refreshBefore is how long before its expiry the access token is refreshed. Default: one third of the token's lifetime, at least 5m.
	// A value longer than two thirds of the lifetime is taken as two thirds.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('5m') && duration(self) <= duration('8760h')",message="refreshBefore must be a duration such as 8h or 30m, between 5m and 8760h"
	RefreshBefore *metav1.Duration `json:"refreshBefore,omitempty"`

	// sinks receive the channel's events. Without any, events are stored and delivered nowhere.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Sinks []Sink `json:"sinks,omitempty"`

	// suspend stops refreshing, dispatching and sending. Inbound events are still stored, and dispatched when the channel is resumed.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// deletionPolicy is Retain (keep the authorization and the token Secret) or Revoke (revoke the tokens at TikTok and delete the Secret).
	// +optional
	// +kubebuilder:default=Retain
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// TiktokAppReference names a TiktokApp.
type TiktokAppReference struct {
	// name of the TiktokApp.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
}

// SecretReference names a Secret in the channel's own namespace.
type SecretReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="name must be a valid Secret name"
	Name string `json:"name"`
}

// SecretKeyReference names a key of a Secret in the channel's own namespace.
type SecretKeyReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="name must be a valid Secret name"
	Name string `json:"name"`

	// key of the Secret's data.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key"`
}

// Sink is one receiver of a channel's events: an HTTP endpoint that takes CloudEvents in binary mode.
// +kubebuilder:validation:XValidation:rule="has(self.ref) != has(self.uri)",message="set exactly one of ref and uri"
type Sink struct {
	// name identifies the sink within the channel. What is delivered is remembered under it: a renamed sink starts anew.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="a sink's name must be lower-case letters, digits and '-'"
	Name string `json:"name"`

	// ref is a Service in the channel's own namespace. Exactly one of ref and uri is set.
	// +optional
	Ref *SinkReference `json:"ref,omitempty"`

	// uri is an absolute https URL; http is allowed for loopback hosts only. Addresses inside private networks are refused unless the
	// operator runs with --allow-private-sinks. Exactly one of ref and uri is set.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && (url(self).getScheme() == 'https' || (url(self).getScheme() == 'http' && url(self).getHostname() in ['localhost', '127.0.0.1', '[::1]', '::1']))",message="uri must be an absolute https URL (http is allowed for loopback hosts only)"
	// +kubebuilder:validation:XValidation:rule="!isURL(self) || (url(self).getHostname().size() > 0 && !self.contains('#') && !self.contains('@'))",message="uri must name a host and have no fragment or user"
	URI string `json:"uri,omitempty"`

	// types are the CloudEvent types that the sink receives. Default: all, later ones included.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:items:Pattern=`^io\.tiktok-operator\.[a-z_.]+$`
	Types []string `json:"types,omitempty"`

	// signingSecretRef names the secret that signs deliveries as Standard Webhooks (whsec_… or at least 24 bytes). Without it, deliveries
	// are not signed.
	// +optional
	SigningSecretRef *SecretKeyReference `json:"signingSecretRef,omitempty"`

	// bearerTokenSecretRef names a token that is sent as Authorization: Bearer.
	// +optional
	BearerTokenSecretRef *SecretKeyReference `json:"bearerTokenSecretRef,omitempty"`

	// delivery bounds one delivery and its retries.
	// +optional
	// +kubebuilder:default={}
	Delivery *Delivery `json:"delivery,omitempty"`
}

// SinkReference names a Service in the channel's own namespace.
type SinkReference struct {
	// kind of the receiver.
	// +optional
	// +kubebuilder:default=Service
	// +kubebuilder:validation:Enum=Service
	Kind string `json:"kind,omitempty"`

	// name of the Service.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// port of the Service. May be left out where the Service has one port only.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// path of the request. Default: /.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.startsWith('/') && !self.contains('#')",message="path must begin with '/' and have no fragment"
	Path string `json:"path,omitempty"`
}

// Delivery bounds one delivery and its retries.
type Delivery struct {
	// timeout of one attempt. Default: 10s.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('100ms') && duration(self) <= duration('5m')",message="timeout must be a duration between 100ms and 5m"
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// maxAttempts is how often a delivery is tried before the event becomes a dead letter. Default: no limit but maxAge.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxAttempts *int32 `json:"maxAttempts,omitempty"`

	// maxAge is how old an event may grow before it becomes a dead letter. Default: 72h.
	// +optional
	// +kubebuilder:default="72h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1m') && duration(self) <= duration('720h')",message="maxAge must be a duration between 1m and 720h"
	MaxAge *metav1.Duration `json:"maxAge,omitempty"`

	// backoff is the wait between attempts: it doubles from min to max, with jitter.
	// +optional
	// +kubebuilder:default={}
	Backoff *Backoff `json:"backoff,omitempty"`
}

// Backoff is a growing wait between attempts.
// +kubebuilder:validation:XValidation:rule="!has(self.min) || !has(self.max) || !self.min.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') || !self.max.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') || duration(self.min) <= duration(self.max)",message="backoff.min must not be longer than backoff.max"
type Backoff struct {
	// min is the first wait. Default: 1s.
	// +optional
	// +kubebuilder:default="1s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('100ms') && duration(self) <= duration('1h')",message="min must be a duration between 100ms and 1h"
	Min *metav1.Duration `json:"min,omitempty"`

	// max is the longest wait. Default: 5m.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('100ms') && duration(self) <= duration('24h')",message="max must be a duration between 100ms and 24h"
	Max *metav1.Duration `json:"max,omitempty"`
}

// TiktokChannelStatus is what the operator observed of the channel.
type TiktokChannelStatus struct {
	// observedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready, Authorized, TokenFresh, ReauthorizationRequired, SinksResolved; Reconciling and Stalled (kstatus) while True.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// businessID is the business account (TikTok's open_id) that the channel holds.
	// +optional
	BusinessID string `json:"businessID,omitempty"`

	// username is the business's TikTok handle.
	// +optional
	Username string `json:"username,omitempty"`

	// displayName is the business's name as TikTok shows it.
	// +optional
	DisplayName string `json:"displayName,omitempty"`

	// profileImageURL is the business's picture. TikTok lets such URLs expire.
	// +optional
	ProfileImageURL string `json:"profileImageURL,omitempty"`

	// grantedScopes are the scopes that TikTok granted.
	// +optional
	// +listType=set
	GrantedScopes []string `json:"grantedScopes,omitempty"`

	// accessTokenExpiresAt is when the access token ends.
	// +optional
	AccessTokenExpiresAt *metav1.Time `json:"accessTokenExpiresAt,omitempty"`

	// refreshTokenExpiresAt is when the refresh token ends. Every refresh brings a new one.
	// +optional
	RefreshTokenExpiresAt *metav1.Time `json:"refreshTokenExpiresAt,omitempty"`

	// lastRefreshTime is when TikTok last issued tokens.
	// +optional
	LastRefreshTime *metav1.Time `json:"lastRefreshTime,omitempty"`

	// nextRefreshTime is when the next refresh is due. Absent while a person must act or the channel is suspended.
	// +optional
	NextRefreshTime *metav1.Time `json:"nextRefreshTime,omitempty"`

	// lastHandledRefreshAt is the value of the annotation channels.tiktok-operator.io/refresh-requested-at that was last answered.
	// +optional
	LastHandledRefreshAt string `json:"lastHandledRefreshAt,omitempty"`

	// authorizationURL is a link that starts the authorization in a browser. Present only while authorization is needed. It is valid for 24
	// hours (a new one appears before that) and ends when an authorization succeeds.
	// +optional
	AuthorizationURL string `json:"authorizationURL,omitempty"`

	// authorizationEpoch counts the authorizations of this channel. An authorization link is bound to the epoch it was made in.
	// +optional
	AuthorizationEpoch int64 `json:"authorizationEpoch,omitempty"`

	// lastAuthorizationTime is when a person last authorized the channel. Absent where its tokens were imported.
	// +optional
	LastAuthorizationTime *metav1.Time `json:"lastAuthorizationTime,omitempty"`

	// refreshFailures counts the refreshes that failed in passing since the last success. Absent while refreshes succeed.
	// +optional
	RefreshFailures *RefreshFailures `json:"refreshFailures,omitempty"`

	// sinks are those that stopped taking events at some time, and whether they do again. A sink that always did is not among them. The webhook
	// deployment writes them, at most once a minute; attempts are counted in its metrics.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Sinks []SinkStatus `json:"sinks,omitempty"`
}

// SinkState says whether a sink takes events.
// +kubebuilder:validation:Enum=Healthy;Failing
type SinkState string

const (
	// SinkHealthy: the sink takes events again.
	SinkHealthy SinkState = "Healthy"
	// SinkFailing: every attempt at the sink has failed for more than a minute, or none was possible because the operator may not read its Service or
	// Secret. Its events are kept, and tried again.
	SinkFailing SinkState = "Failing"
)

// SinkStatus is what became of the deliveries to a sink.
type SinkStatus struct {
	// name of the sink in the spec.
	// +required
	Name string `json:"name"`

	// state is Failing or Healthy.
	// +required
	State SinkState `json:"state"`

	// since is when that began: the first of the failures in a row, or the first success after them.
	// +required
	Since metav1.Time `json:"since"`

	// message says in a sentence what the attempts met.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`
}

// RefreshFailures counts refreshes that failed in passing.
type RefreshFailures struct {
	// count of failures in a row.
	// +required
	Count int32 `json:"count"`

	// lastTime is when the last one failed.
	// +required
	LastTime metav1.Time `json:"lastTime"`

	// nextTime is when the next try is due.
	// +required
	NextTime metav1.Time `json:"nextTime"`
}

// TiktokChannel connects one TikTok business account: who may be connected, where its tokens are kept, and which services receive its
// events.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ttc,categories=tiktok
// +kubebuilder:printcolumn:name="App",type=string,JSONPath=`.spec.appRef.name`
// +kubebuilder:printcolumn:name="Business",type=string,JSONPath=`.status.username`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.accessTokenExpiresAt`
// +kubebuilder:printcolumn:name="Next refresh",type=string,JSONPath=`.status.nextRefreshTime`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="the name must be no longer than 63 characters: it becomes a label"
type TiktokChannel struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the channel's owner wants.
	// +required
	Spec TiktokChannelSpec `json:"spec"`

	// status is what the operator observed.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status TiktokChannelStatus `json:"status,omitzero"`
}

// TiktokChannelList is a list of TiktokChannel.
// +kubebuilder:object:root=true
type TiktokChannelList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []TiktokChannel `json:"items"`
}
