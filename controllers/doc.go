// Package controllers holds the reconcilers of TiktokApp and TiktokChannel, one file a step. They read, decide with the pure functions of
// package token and of this package's *_conditions.go files, act, and write the status once.
//
// Nothing below imports this package. It does not listen to the network: webhooks and authorizations are the webhook deployment's, which it
// meets only in the API server.
package controllers
