// Package eventlog keeps what TikTok sent until every sink has it. It is the only package that knows NATS JetStream: an embedded server with
// a file store by default, or an external one by URL, with the same code on top.
//
// It decides nothing about events: it does not verify, decode, filter or deliver them. What Append acknowledged is stored, on disk if Fsync is
// "always", and is never dropped to make room: a full log refuses.
//
// # Streams and subjects
//
//	stream            subject                                    holds                                          kept
//	TIKTOK_EVENTS     tiktok.events.<channel>.<conversation>     webhook bodies of known channels               MaxAge, MaxBytes
//	TIKTOK_UNROUTED   tiktok.unrouted.<app>.<business>           bodies of businesses that no channel holds     24 h
//	TIKTOK_SINKS      tiktok.sinks.<channel>.<sink>              one JSON position a sink (the newest only)     until deleted
//	TIKTOK_DEAD       tiktok.dead.<channel>.<sink>               events that a sink did not take, with the reason 30 days
//	TIKTOK_JOBS       tiktok.jobs.<kind>.<channel>               work that an event entails, with the event         until done, 72 h
//	KV_tiktok-once    $KV.tiktok-once.<id>                       single-use ids                                 24 h
//	KV_tiktok-sends   $KV.tiktok-sends.<id>                      what became of messages of applications        48 h
//	KV_tiktok-owners  $KV.tiktok-owners.<key>                    which replica serves what (external server)    5 min
//
// <channel> is the UID of the TiktokChannel and <sink> the sink's name. <conversation>, <business> and single-use ids come from outside and
// are hashed, <app> is hashed where it holds a dot, so that nothing foreign is ever read as a subject's structure. "_" stands for an event
// without a conversation. Of one subject, sequence order is the order of acknowledgement.
//
// An event is a message whose data is TikTok's body, byte for byte, and whose header Tiktok-Operator-Record holds the fields of Record as a
// query string. Nats-Msg-Id is a hash of the event's id and its channel: JetStream drops duplicates of it for DedupWindow, and rebuilds that memory
// from the store when it starts.
//
// # Positions instead of consumers
//
// How far a sink has come is a position of our own, not a JetStream consumer: a durable consumer costs the server four goroutines and about
// 50 KiB for as long as it exists, and NATS limits a stream to 1,000 of them, while ten thousand channels with up to 16 sinks must cost next
// to nothing when idle. One ordered consumer (Watch) tells which channels have news; Events reads a channel's next ones, many at once, by their
// subject.
// Positions are written without fsync: after a power cut, events are delivered again, never lost.
package eventlog
