// Package outbound sends what applications want to say to TikTok users: once, within TikTok's rules, in their turn, and with an honest answer
// where nobody can know whether TikTok took a message.
//
// TikTok has no idempotency keys. So before TikTok is called it is written down that it will be, by compare-and-swap, under the application's
// key: a request that comes again, at the same time or after a crash, finds out how far the first one came (see decide). Between the call and
// its answer it is dark; there TikTok's webhook of the message and its list of the newest messages tell (see settle).
//
// What becomes of a message is told in events of type cloudevent.TypeMessageStatus. They are the memory of the conversation, too.
//
// It never refreshes a token: it asks the manager to, by an annotation of the channel.
//
// +kubebuilder:rbac:groups=channels.tiktok-operator.io,resources=tiktokchannels,verbs=get;list;watch;patch
package outbound
