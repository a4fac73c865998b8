// Package conversation makes the state of a conversation from its stored events. It is pure: no I/O, no clock.
//
// Events come twice, and out of order: TikTok's webhook of a message that was sent may overtake the answer to sending it, and the user's read
// mark both. So the state keeps facts that only add up (the best that was told of a message or a send, the newest of what changes, how far the
// user has read) and works out the rest, statuses above all, when it is asked. The same events give the same state, in whatever order and
// however often they come.
package conversation
