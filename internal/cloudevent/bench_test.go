package cloudevent_test

import (
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

// BenchmarkDecode reads and identifies a webhook of the usual size.
func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"client_key":"7300000000000000001","event":"im_receive_msg","create_time":1732000000,"user_openid":"-000shop",` +
		`"content":"{\"conversation_id\":\"6l5Su2Tp1jMeyhe/+/ftWy==\",\"message_id\":\"7500000000000000001\",\"timestamp\":1732000000123,` +
		`\"type\":\"text\",\"text\":{\"body\":\"Where is my order 1234? I have been waiting for days.\"},\"from\":\"alice\",\"from_user\":` +
		`{\"id\":\"user-alice\",\"role\":\"personal_account\"},\"to\":\"shop\",\"to_user\":{\"id\":\"-000shop\",\"role\":\"business_account\"},` +
		`\"is_follower\":true,\"unique_identifier\":\"uid-alice\",\"message_tag\":{\"source\":\"message\"}}"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := cloudevent.Decode(body); err != nil {
			b.Fatal(err)
		}
	}
}
