// Package simulator stands in for TikTok over real HTTP: the consent page, tokens that rotate, webhook configuration, signed webhooks, and
// an admin API that injects faults, plays the TikTok user and tells what it was called with.
//
// It is strict: it refuses what TikTok refuses, with TikTok's codes. Everything is in memory and ends with the process. It must not import
// any other package of the project, the client least of all: its rules are written from the wire's description alone, so that a misreading
// cannot hide on both sides. What it does not know how to serve it answers with 404; it never pretends.
package simulator
