// Package messagingapi is the messaging part of the private API: an application reads conversations and answers in them without a token of
// TikTok's. It speaks HTTP and JSON; what may be sent is package messaging's to decide, how it is sent once package outbound's, and what a
// conversation holds package projection's to know.
package messagingapi
