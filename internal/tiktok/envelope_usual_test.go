package tiktok

import (
	"reflect"
	"testing"
)

// FuzzUsualEnvelope: the short way says what the long way says, or nothing.
func FuzzUsualEnvelope(f *testing.F) {
	for _, body := range WireBodies(f) {
		f.Add(body)
	}
	f.Add([]byte(`{"client_key":"1","event":"im_receive_msg","create_time":1700000000,"user_openid":"-000abc","content":"{\"message_id\":\"7\"}"}`))
	f.Add([]byte(`{"event":"a","event":null,"content":"{}"}`))
	f.Add([]byte(`{"EVENT":"a","content":" {\"conversation_id\":7,\"reaction\":[{}]} ","content":null}`))
	f.Add([]byte(`{"event":"a\ud800","client_key":"` + "\xff" + `","content":"{}","create_time":-1}`))
	f.Add([]byte(`{"event":"a","content":"{}","fetched":"true"}`))
	f.Add([]byte(`{"event":"a","content":"[]"}`))
	f.Add([]byte(`{"event":"a","content":"{}"}x}`))
	f.Add([]byte(`{"event":"a","content":"{} {}"} `))
	f.Add([]byte(`{"event":"a","content":"{\"a\":[1e5,-0.5,true,null,{\"b\":\"\\u00e9\"}]}"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		short, shortIdentity := decodeUsual(body)
		if short == nil {
			return
		}
		long, longIdentity, err := decodeUnusual(body)
		if err != nil || !reflect.DeepEqual(short, long) || !reflect.DeepEqual(shortIdentity, longIdentity) {
			t.Fatalf("the short way has %+v and %+v, the long way %+v and %+v, %v", short, shortIdentity, long, longIdentity, err)
		}
	})
}
