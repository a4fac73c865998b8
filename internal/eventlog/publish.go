package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/go-faster/jx"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ack is the server's answer to a message that it was given to store.
type ack struct {
	stream    string
	sequence  uint64
	duplicate bool
}

// publish has the server store a message in a stream, and waits for its answer.
func (l *Log) publish(ctx context.Context, m *nats.Msg, stream string) (ack, error) {
	a, err := l.request(ctx, m, stream)
	switch {
	case isInProcess(err):
		l.doubt(stream, m)
	case err == nil && l.server != nil:
		l.server.ids.stored(stream, a.sequence)
	}
	return a, err
}

// request is jetstream's PublishMsg without what that costs beyond the request: every webhook waits for it. That the stream is the right one is
// seen in the answer, where a header would have the server search every message for it.
func (l *Log) request(ctx context.Context, m *nats.Msg, stream string) (ack, error) {
	answer, err := l.conn.RequestMsgWithContext(ctx, m)
	if errors.Is(err, nats.ErrNoResponders) { // no stream has a leader at the moment: the library knows how long to wait
		var late *jetstream.PubAck
		if late, err = l.js.PublishMsg(ctx, m); err == nil {
			return ack{late.Stream, late.Sequence, late.Duplicate}.of(stream)
		}
	}
	if err != nil {
		return ack{}, err
	}
	a, err := decodeAck(answer.Data)
	if err != nil {
		return ack{}, err
	}
	return a.of(stream)
}

// of is an error if another stream has answered.
func (a ack) of(stream string) (ack, error) {
	if a.stream != stream {
		return ack{}, fmt.Errorf("the stream %q took what is for %s: no other stream may have subjects that begin with \"tiktok.\"", a.stream, stream)
	}
	return a, nil
}

// decodeAck reads {"stream":"EVENTS","seq":1,"duplicate":true} at once, and leaves everything else to encoding/json.
func decodeAck(data []byte) (ack, error) {
	if a, ok := decodeUsualAck(data); ok {
		return a, nil
	}
	return decodeAnyAck(data)
}

func decodeUsualAck(data []byte) (a ack, ok bool) {
	d := jx.GetDecoder()
	defer jx.PutDecoder(d)
	d.ResetBytes(data)
	seen := 0
	once := func(member int) error {
		if seen&member != 0 {
			return errUnusualAck
		}
		seen |= member
		return nil
	}
	err := d.ObjBytes(func(d *jx.Decoder, key []byte) (err error) {
		switch string(key) {
		case "stream":
			a.stream, err = d.Str()
			err = errors.Join(err, once(1))
		case "seq":
			a.sequence, err = d.UInt64()
			err = errors.Join(err, once(2))
		case "duplicate":
			a.duplicate, err = d.Bool()
			err = errors.Join(err, once(4))
		default:
			err = errUnusualAck
		}
		return err
	})
	if err != nil || a.stream == "" || !utf8.Valid(data) {
		return ack{}, false
	}
	return a, errors.Is(d.Skip(), io.EOF) // nothing follows
}

// errUnusualAck says that an answer has something that is not there as a rule.
var errUnusualAck = errors.New("an unusual answer")

func decodeAnyAck(data []byte) (ack, error) {
	var full struct {
		jetstream.PubAck
		Error *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(data, &full); {
	case err != nil:
		return ack{}, fmt.Errorf("reading the server's answer: %w", err)
	case full.Error != nil:
		return ack{}, full.Error
	case full.Stream == "":
		return ack{}, errors.New("the server's answer names no stream")
	}
	return ack{full.Stream, full.Sequence, full.Duplicate}, nil
}
