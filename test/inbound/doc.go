// Package inbound proves what docs/explanation/event-guarantees.md promises: every webhook that was answered 200 reaches every sink, in the
// order of its conversation, and twice only where a crash justifies it. The webhook binary is the built one, with a real API server, and is
// killed, cut off, and let down by its disk, its NATS server and its sinks; only TikTok is simulated, by a sender of signed webhooks.
//
// The package's tests take each fault with few events. test/load takes them with many.
package inbound
