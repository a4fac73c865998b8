// Package messaging holds TikTok's rules for messages: it says, before TikTok is asked, whether a message may be sent, and why not, and puts
// TikTok's own refusals into words. It is pure: no I/O, no clock of its own, no state.
//
// Each rule is certain or doubtful, as the sources of TikTok's API agree on it or not. What is certain is refused under every policy. What is
// doubtful is refused by Strict, and left to TikTok by Lenient. What is not known of a conversation is never a reason to refuse.
package messaging
