// Package removal carries TikTok's word that a business's authorization is over (the webhook authorization.removed) from the event log to the
// channel's token Secret, where the manager finds it. The webhook is acknowledged once the event and a job are stored; the job is tried until
// the Secret says it, so that nothing is lost while the API server is away.
//
// It decides nothing: whether the word is about the tokens that the channel has is package token's to say, and what follows the manager's.
package removal

// The webhook binary writes to token Secrets, by name.
//
// +kubebuilder:rbac:groups=channels.tiktok-operator.io,resources=tiktokchannels,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;update
