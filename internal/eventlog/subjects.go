package eventlog

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
)

// Names of streams; part of the format on disk.
const (
	eventsStream   = "TIKTOK_EVENTS"
	unroutedStream = "TIKTOK_UNROUTED"
	sinksStream    = "TIKTOK_SINKS"
	deadStream     = "TIKTOK_DEAD"
	onceBucket     = "tiktok-once"
	onceStream     = "KV_" + onceBucket
	sendsBucket    = "tiktok-sends"
	sendsStream    = "KV_" + sendsBucket
	leasesBucket   = "tiktok-owners"
	leasesStream   = "KV_" + leasesBucket

	eventsPrefix   = "tiktok.events."
	unroutedPrefix = "tiktok.unrouted."
	sinksPrefix    = "tiktok.sinks."
	deadPrefix     = "tiktok.dead."

	noToken      = "_"
	maxNameToken = 64
)

// allStreams are those that a log has.
func allStreams() []string {
	return []string{eventsStream, unroutedStream, sinksStream, deadStream, jobsStream, onceStream, sendsStream}
}

// digest is 128 bits of a SHA-256 over the parts, as a subject token. Parts are separated by their lengths, so no two lists collide.
func digest(parts ...string) string {
	var space [256]byte
	text := space[:0]
	for _, p := range parts {
		text = append(append(strconv.AppendInt(text, int64(len(p)), 10), ':'), p...)
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// foreign is the token of a text that comes from outside.
func foreign(s string) string {
	if s == "" {
		return noToken
	}
	return digest(s)
}

// named is the token of one of Kubernetes' names: itself where it is safe as a token, else a hash that no name equals.
func named(s string) string {
	if isToken(s) {
		return s
	}
	return "=" + digest(s)
}

func isToken(s string) bool {
	if s == "" || len(s) > maxNameToken {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	})
}

func eventSubject(channelUID, conversation string) string {
	return eventsPrefix + channelUID + "." + foreign(conversation)
}

// laneOf is the lane of an event's subject.
func laneOf(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }

func channelFilter(channelUID string) string { return eventsPrefix + channelUID + ".*" }

func unroutedSubject(app, business string) string {
	return unroutedPrefix + named(app) + "." + foreign(business)
}

func sinkSubject(channelUID, sink string) string { return sinksPrefix + channelUID + "." + named(sink) }

// sinkOf is the sink of a position's subject.
func sinkOf(subject string) (channelUID, sink string, ok bool) {
	rest, ok := strings.CutPrefix(subject, sinksPrefix)
	if !ok {
		return "", "", false
	}
	channelUID, sink, ok = strings.Cut(rest, ".")
	return channelUID, sink, ok && isToken(channelUID) && isToken(sink) // Kubernetes admits no other names of sinks
}

func deadSubject(channelUID, sink string) string { return deadPrefix + channelUID + "." + named(sink) }

// channelOf is the channel of an event's subject.
func channelOf(subject string) (string, bool) {
	rest, ok := strings.CutPrefix(subject, eventsPrefix)
	if !ok {
		return "", false
	}
	uid, _, ok := strings.Cut(rest, ".")
	return uid, ok
}
