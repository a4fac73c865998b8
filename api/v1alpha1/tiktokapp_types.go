package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WebhookRegistration says who keeps the app's webhook registered at TikTok.
// +kubebuilder:validation:Enum=Managed;External
type WebhookRegistration string

const (
	// WebhookManaged lets the operator register the webhook, detect drift and register it again.
	WebhookManaged WebhookRegistration = "Managed"
	// WebhookExternal leaves the registration to somebody else; the operator reads it, to tell what it is, and never writes it.
	WebhookExternal WebhookRegistration = "External"
)

// WebhookEventType is TikTok's name of a group of webhook events.
// +kubebuilder:validation:Enum=DIRECT_MESSAGE;COMMENT;BRAND_MENTION;VIDEO
type WebhookEventType string

// WebhookEventTypeDirectMessage covers every `im_*` event.
const WebhookEventTypeDirectMessage WebhookEventType = "DIRECT_MESSAGE"

// NamespacesFrom says how namespaces are chosen.
// +kubebuilder:validation:Enum=All;Selector;None
type NamespacesFrom string

const (
	// NamespacesAll chooses every namespace.
	NamespacesAll NamespacesFrom = "All"
	// NamespacesSelector chooses the namespaces whose labels match.
	NamespacesSelector NamespacesFrom = "Selector"
	// NamespacesNone chooses no namespace.
	NamespacesNone NamespacesFrom = "None"
)

// TiktokAppSpec describes one TikTok developer app.
type TiktokAppSpec struct {
	// appID is the app's id from TikTok's developer portal. TikTok calls it client_key, client_id or app_id, depending on the endpoint.
	// Tokens belong to the app that they were issued to, so it cannot be changed: create another TiktokApp instead.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_-]+$')",message="appID may hold only letters, digits, '-' and '_': copy it from TikTok's developer portal"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="appID is immutable: tokens belong to the app they were issued to; create another TiktokApp instead"
	AppID string `json:"appID"`

	// secretRef names the Secret that holds the app secret. Only the operator reads it; channels and their namespaces never see it.
	// During a rotation, put the old secret under the key app_secret_previous: webhooks signed with either are then accepted.
	// +required
	SecretRef AppSecretReference `json:"secretRef"`

	// publicURL is the external base URL of the operator's webhook deployment, as TikTok and people's browsers reach it, for example
	// https://tiktok.example.com. The redirect URL ({publicURL}/oauth/callback/) and the webhook URL ({publicURL}/webhooks/{app}) follow
	// from it. It must be https and have no port; http and a port are allowed for loopback hosts (development).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=450
	// +kubebuilder:validation:XValidation:rule="isURL(self) && (url(self).getScheme() == 'https' || (url(self).getScheme() == 'http' && url(self).getHostname() in ['localhost', '127.0.0.1', '[::1]', '::1']))",message="publicURL must be an absolute https URL (http is allowed for loopback hosts only)"
	// +kubebuilder:validation:XValidation:rule="!isURL(self) || (url(self).getHostname().size() > 0 && !self.contains('?') && !self.contains('#') && !self.contains('@'))",message="publicURL must name a host and have no query, fragment or user"
	// +kubebuilder:validation:XValidation:rule="!isURL(self) || url(self).getPort().size() == 0 || url(self).getHostname() in ['localhost', '127.0.0.1', '[::1]', '::1']",message="publicURL must not name a port: TikTok refuses redirect URLs that have one"
	PublicURL string `json:"publicURL"`

	// allowedNamespaces says which namespaces' channels may use this app. Default: all. The channels of a namespace that is not allowed any
	// more rest as suspended ones do: nothing is refreshed, delivered or sent, and their events are stored, and delivered if the namespace is
	// allowed again while they are kept. A change takes effect at once; one of a namespace's labels, within two minutes.
	// +optional
	// +kubebuilder:default={from: All}
	AllowedNamespaces *AllowedNamespaces `json:"allowedNamespaces,omitempty"`

	// scopes are the OAuth scopes that are asked for and required. An authorization that lacks one is refused. TikTok refuses the whole
	// authorization (invalid_scope) if it has not approved the app for one of them: shorten the list to what the app is approved for.
	// +optional
	// +listType=set
	// +kubebuilder:default={"user.info.basic","user.info.username","user.info.stats","user.info.profile","user.account.type","user.insights","message.list.read","message.list.send","message.list.manage"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9_.]+$`
	Scopes []string `json:"scopes,omitempty"`

	// webhook says how TikTok's webhooks reach this operator.
	// +optional
	// +kubebuilder:default={}
	Webhook *AppWebhook `json:"webhook,omitempty"`

	// endpoints are TikTok's base URLs. Set them to use the simulator or a regional host.
	// +optional
	// +kubebuilder:default={}
	Endpoints *AppEndpoints `json:"endpoints,omitempty"`

	// rateLimit bounds the calls to TikTok, over all channels of the app.
	// +optional
	// +kubebuilder:default={}
	RateLimit *AppRateLimit `json:"rateLimit,omitempty"`
}

// AppSecretReference names a key of a Secret in any namespace. A TiktokApp is cluster-scoped and belongs to the platform team, who may
// name any Secret that the operator's role lets it read.
type AppSecretReference struct {
	// namespace of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="namespace must be a valid namespace name"
	Namespace string `json:"namespace"`

	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="name must be a valid Secret name"
	Name string `json:"name"`

	// key of the Secret that holds the app secret.
	// +optional
	// +kubebuilder:default=app_secret
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`
}

// AllowedNamespaces chooses namespaces.
// +kubebuilder:validation:XValidation:rule="self.from != 'Selector' || has(self.selector)",message="selector is required when from is Selector"
// +kubebuilder:validation:XValidation:rule="self.from == 'Selector' || !has(self.selector)",message="selector may be set only when from is Selector"
type AllowedNamespaces struct {
	// from chooses all namespaces, those that selector matches, or none.
	// +optional
	// +kubebuilder:default=All
	From NamespacesFrom `json:"from,omitempty"`

	// selector matches the labels of namespaces. Only with from: Selector.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// AppWebhook says how TikTok's webhooks are registered.
type AppWebhook struct {
	// registration is Managed (the operator registers the webhook at TikTok and repairs it when somebody changes it) or External
	// (somebody else registers status.webhookURL, in TikTok's portal for instance; the condition WebhookRegistered is Unknown unless TikTok names
	// that URL, and the app is Ready without it). Deleting the app takes a Managed registration off TikTok. Turning to External leaves what is
	// registered as it is, for somebody else to change or to remove.
	// +optional
	// +kubebuilder:default=Managed
	Registration WebhookRegistration `json:"registration,omitempty"`

	// eventTypes are TikTok's groups of events to register for. Default: DIRECT_MESSAGE, which covers messages, reads and referrals. One that
	// leaves the list is taken off TikTok if the operator registered it and TikTok still names the URL that it registered.
	// +optional
	// +listType=set
	// +kubebuilder:default={DIRECT_MESSAGE}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	EventTypes []WebhookEventType `json:"eventTypes,omitempty"`
}

// AppEndpoints are the base URLs of TikTok's API and consent page.
type AppEndpoints struct {
	// api is the base URL of the Business API, with its version.
	// +optional
	// +kubebuilder:default="https://business-api.tiktok.com/open_api/v1.3/"
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['https', 'http'] && url(self).getHostname().size() > 0 && !self.contains('?') && !self.contains('#') && !self.contains('@')",message="api must be an absolute http or https URL without query, fragment or user"
	API string `json:"api,omitempty"`

	// authorize is the URL of the consent page. It may carry a query, which is kept.
	// +optional
	// +kubebuilder:default="https://www.tiktok.com/v2/auth/authorize"
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['https', 'http'] && url(self).getHostname().size() > 0 && !self.contains('#') && !self.contains('@')",message="authorize must be an absolute http or https URL without fragment or user"
	Authorize string `json:"authorize,omitempty"`
}

// AppRateLimit bounds calls to TikTok.
type AppRateLimit struct {
	// requestsPerSecond is shared by all channels of the app. TikTok's own limit is 10. The manager and each replica of the
	// webhook deployment keep to it on their own: with several replicas, give each its part.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	RequestsPerSecond int32 `json:"requestsPerSecond,omitempty"`
}

// TiktokAppStatus is what the operator observed of the app.
type TiktokAppStatus struct {
	// observedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready, CredentialsValid, WebhookRegistered; Reconciling and Stalled (kstatus) while True.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// redirectURL is the OAuth redirect URL: enter it in TikTok's developer portal exactly as it stands here, with its final slash.
	// +optional
	RedirectURL string `json:"redirectURL,omitempty"`

	// webhookURL is where TikTok's webhooks of this app are received.
	// +optional
	WebhookURL string `json:"webhookURL,omitempty"`

	// registeredCallbackURL is the URL that TikTok says it delivers to, as last seen. It differs from webhookURL only in passing, unless
	// registration is External.
	// +optional
	RegisteredCallbackURL string `json:"registeredCallbackURL,omitempty"`

	// registrations are what the operator registered at TikTok. An event type that left spec.webhook.eventTypes is listed until TikTok has
	// removed it. Empty while registration is External.
	// +optional
	// +listType=map
	// +listMapKey=eventType
	Registrations []AppRegistration `json:"registrations,omitempty"`

	// channels counts the channels that use this app.
	// +optional
	Channels int32 `json:"channels,omitempty"`
}

// AppRegistration is an event type that the operator registered at TikTok.
type AppRegistration struct {
	// eventType is TikTok's group of events.
	// +required
	EventType WebhookEventType `json:"eventType"`

	// callbackURL is the URL that the operator registered.
	// +required
	CallbackURL string `json:"callbackURL"`
}

// TiktokApp is one TikTok developer app: its id and secret, where its webhooks arrive, and which namespaces may use it. The platform team
// owns it; the teams that own channels never see its secret.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=ttapp,categories=tiktok
// +kubebuilder:printcolumn:name="App ID",type=string,JSONPath=`.spec.appID`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Channels",type=integer,JSONPath=`.status.channels`
// +kubebuilder:printcolumn:name="Webhook",type=string,priority=1,JSONPath=`.status.webhookURL`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="the name must be no longer than 63 characters: it is part of the webhook URL"
type TiktokApp struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the platform team wants.
	// +required
	Spec TiktokAppSpec `json:"spec"`

	// status is what the operator observed.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status TiktokAppStatus `json:"status,omitzero"`
}

// TiktokAppList is a list of TiktokApp.
// +kubebuilder:object:root=true
type TiktokAppList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []TiktokApp `json:"items"`
}
