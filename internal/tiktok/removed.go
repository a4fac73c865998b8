package tiktok

import "encoding/json"

// EventAuthorizationRemoved is TikTok's name of the event that says that a business's authorization is over.
const EventAuthorizationRemoved = "authorization.removed"

// DecodeRemovalReason reads TikTok's number of why an authorization was removed; 0, which is TikTok's "unknown", where there is none.
func DecodeRemovalReason(content json.RawMessage) int64 {
	var c struct {
		Reason number `json:"reason"`
	}
	if json.Unmarshal(content, &c) != nil {
		return 0
	}
	return int64(c.Reason)
}
