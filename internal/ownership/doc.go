// Package ownership divides channels among the replicas that share an external event log, so that each is served by one replica at a time.
//
// A channel belongs to one of 64 shards by a hash of its UID, and a shard to the replica whose lease it carries. Every replica renews a record
// of its own, by which the others count it, and the leases of its shards; it claims its share of the shards that nobody holds and gives back
// what is more than its share. Every write is a compare-and-swap in the event log.
//
// No clock is compared with another's. A replica may take a lease that has not changed for takeAfter, by its own clock, since it first saw it
// so, looking all the time. The holder stops before that: holdFor after the beginning of its last successful renewal, by its own monotonic clock,
// whatever it was doing meanwhile. What it had sent by then may still arrive, which is a repeated delivery; what it stores then is refused by the
// fence of the event log (eventlog.Log.AdvanceSink).
//
// A lease that is given back, to a replica that came or because this one ends, is renewed until what is under way on its channels has ended:
// nothing new begins there meanwhile, and nothing need be repeated. Giving it back is tried again, as storing what was done is: the event log may
// be without a leader just then.
package ownership
