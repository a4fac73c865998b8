package tiktok_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

func TestDecodeEnvelope(t *testing.T) {
	at := time.Unix(1_700_000_000, 0).UTC()
	tests := map[string]struct {
		body string
		want tiktok.Envelope
		err  error
	}{
		"the usual": {
			body: `{"client_key":"7012345678901234567","event":"im_receive_msg","create_time":1700000000,"user_openid":"-000abc","content":"{\"message_id\":\"m\"}"}`,
			want: tiktok.Envelope{ClientKey: "7012345678901234567", Event: "im_receive_msg", CreateTime: at, UserOpenID: "-000abc", Content: json.RawMessage(`{"message_id":"m"}`)},
		},
		"content as an object":           {body: `{"event":"e","content":{"a": 9007199254740993}}`, want: tiktok.Envelope{Event: "e", Content: json.RawMessage(`{"a": 9007199254740993}`)}},
		"content with 64-bit ids":        {body: `{"event":"comment.update","content":"{\"comment_id\":7296543210987654321,\"v\":1.10}"}`, want: tiktok.Envelope{Event: "comment.update", Content: json.RawMessage(`{"comment_id":7296543210987654321,"v":1.10}`)}},
		"content with escapes in it":     {body: `{"event":"e","content":"{\"t\":\"\\u00e9\\n\\\"\\ud83d\\ude00\"}"}`, want: tiktok.Envelope{Event: "e", Content: json.RawMessage(`{"t":"\u00e9\n\"\ud83d\ude00"}`)}},
		"content that is no JSON":        {body: `{"event":"e","content":"half {"}`, want: tiktok.Envelope{Event: "e", Content: json.RawMessage(`"half {"`)}},
		"content that is a number":       {body: `{"event":"e","content":7}`, want: tiktok.Envelope{Event: "e", Content: json.RawMessage(`7`)}},
		"no content":                     {body: `{"event":"e"}`, want: tiktok.Envelope{Event: "e"}},
		"empty content":                  {body: `{"event":"e","content":" "}`, want: tiktok.Envelope{Event: "e"}},
		"null content":                   {body: `{"event":"e","content":null}`, want: tiktok.Envelope{Event: "e"}},
		"null in the string":             {body: `{"event":"e","content":"null"}`, want: tiktok.Envelope{Event: "e"}},
		"the time as a string":           {body: `{"event":"e","create_time":"1700000000"}`, want: tiktok.Envelope{Event: "e", CreateTime: at}},
		"the time as a float":            {body: `{"event":"e","create_time":1.7e9}`, want: tiktok.Envelope{Event: "e", CreateTime: at}},
		"the time in milliseconds":       {body: `{"event":"e","create_time":1700000000000}`, want: tiktok.Envelope{Event: "e", CreateTime: at}},
		"the time of another kind":       {body: `{"event":"e","create_time":{"s":1}}`, want: tiktok.Envelope{Event: "e"}},
		"a time that nobody can write":   {body: `{"event":"e","create_time":9223372036854775807}`, want: tiktok.Envelope{Event: "e"}},
		"a time before 1970":             {body: `{"event":"e","create_time":-1}`, want: tiktok.Envelope{Event: "e"}},
		"the app id as a number":         {body: `{"event":"e","client_key":7012345678901234567}`, want: tiktok.Envelope{Event: "e", ClientKey: "7012345678901234567"}},
		"an unknown event and field":     {body: ` {"event":"brand.new","x":[1,{"y":null}]} ` + "\n", want: tiktok.Envelope{Event: "brand.new"}},
		"the business of null":           {body: `{"event":"e","user_openid":null}`, want: tiktok.Envelope{Event: "e"}},
		"no event":                       {body: `{"client_key":"1","content":"{}"}`, err: tiktok.ErrNoEvent},
		"an event that is a list":        {body: `{"event":["x"]}`, err: tiktok.ErrNoEvent},
		"nothing":                        {body: ``, err: tiktok.ErrNotJSON},
		"null":                           {body: `null`, err: tiktok.ErrNotJSON},
		"a list":                         {body: `[{"event":"e"}]`, err: tiktok.ErrNotJSON},
		"a string":                       {body: `"{}"`, err: tiktok.ErrNotJSON},
		"half of it":                     {body: `{"event":"e","content":"{`, err: tiktok.ErrNotJSON},
		"more after it":                  {body: `{"event":"e"}{"event":"f"}`, err: tiktok.ErrNotJSON},
		"a form":                         {body: `event=e`, err: tiktok.ErrNotJSON},
		"deeper than anybody needs":      {body: `{"event":"e","x":` + string(bytes.Repeat([]byte("["), 100_000)), err: tiktok.ErrNotJSON},
		"a string where JSON never ends": {body: "{\"event\":\"e\x00\"}", err: tiktok.ErrNotJSON},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tiktok.DecodeEnvelope([]byte(tt.body))
			if tt.err != nil {
				if !errors.Is(err, tt.err) || got != nil {
					t.Fatalf("got %+v, %v; want %v", got, err, tt.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(*got, tt.want) {
				t.Fatalf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

// FuzzDecodeEnvelope: what is accepted can be written again and read to the same, and content is JSON whose digits are those of the body.
func FuzzDecodeEnvelope(f *testing.F) {
	for _, body := range tiktok.WireBodies(f) {
		f.Add(body)
	}
	f.Add([]byte(`{"client_key":"1","event":"im_receive_msg","create_time":1700000000,"user_openid":"-000abc","content":"{\"timestamp\":1700000000000}"}`))
	f.Add([]byte(`{"event":"comment.update","content":{"comment_id":7296543210987654321}}`))
	f.Add([]byte(`{"event":7,"create_time":"1.7e9","content":"\"\\\"x\\\"\""}`))
	f.Add([]byte(`{"event":"e","content":"` + "\xff" + `"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := tiktok.DecodeEnvelope(body)
		if err != nil {
			if e != nil || (!errors.Is(err, tiktok.ErrNotJSON) && !errors.Is(err, tiktok.ErrNoEvent)) {
				t.Fatalf("got %+v, %v", e, err)
			}
			return
		}
		if e.Event == "" {
			t.Fatal("an envelope without an event")
		}
		if _, err := e.CreateTime.MarshalJSON(); err != nil {
			t.Fatalf("the time cannot be written: %v", err)
		}
		if e.Content != nil && !json.Valid(e.Content) {
			t.Fatalf("content is %q", e.Content)
		}
		wire := map[string]any{"client_key": e.ClientKey, "event": e.Event, "user_openid": e.UserOpenID}
		if e.Fetched {
			wire["fetched"] = true
		}
		if !e.CreateTime.IsZero() {
			wire["create_time"] = e.CreateTime.UnixMilli()
			if e.CreateTime.Before(time.UnixMilli(100_000_000_000)) {
				wire["create_time"] = e.CreateTime.Unix()
			}
		}
		if e.Content != nil {
			wire["content"] = string(e.Content)
		}
		text, err := json.Marshal(wire)
		if err != nil {
			t.Fatal(err)
		}
		again, err := tiktok.DecodeEnvelope(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		// Content that is no object may be a string of JSON once more.
		if isObject := bytes.HasPrefix(bytes.TrimSpace(e.Content), []byte("{")); !isObject {
			again.Content, e.Content = nil, nil
		}
		again.Content, e.Content = valid(again.Content), valid(e.Content)
		if !reflect.DeepEqual(again, e) {
			t.Fatalf("first %+v, then %+v", e, again)
		}
	})
}

// valid replaces what is no UTF-8, as every writer of JSON does, and the spaces around it, which do not matter.
func valid(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return nil
	}
	return bytes.TrimSpace(bytes.ToValidUTF8(raw, []byte("\uFFFD")))
}
