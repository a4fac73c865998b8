// Package oauth connects a channel to a TikTok business account: it starts an authorization from a signed link, takes TikTok's answer, stores
// the tokens, and shows a page that says what came of it. It also hands out links to programs.
//
// The handler keeps nothing between two requests: what it must know comes back in signed tickets (package tickets), and every replica can
// answer every request. Nothing that is not signed reaches the API server or TikTok.
//
// It must not refresh tokens or write a channel: the manager sees the stored tokens and says in the status what they mean. Codes, tokens,
// states and links never enter a log, an event or an error; neither does the query of any request.
package oauth

// The webhook binary reads channels and apps, and each Secret by its name; it never lists Secrets. The Leases of businesses are asked for by
// package reservation.
//
// +kubebuilder:rbac:groups=channels.tiktok-operator.io,resources=tiktokapps;tiktokchannels,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;create;update
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
