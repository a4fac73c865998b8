package eventlog

// LaneOf names the lane of a conversation's events, as Stored.Lane does; "" is that of events without a conversation.
func LaneOf(conversation string) string { return foreign(conversation) }
