// Package deadletter is the HTTP API of the private listener for events that a sink did not take: list, read, replay; and
// for the replay of any stored event. It must be mounted behind
// access control. What a dead letter is, package eventlog knows; when an event becomes one, package dispatch decides.
package deadletter
