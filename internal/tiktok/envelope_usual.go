package tiktok

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/go-faster/jx"
)

// errUnusual says that an object is left to encoding/json.
var errUnusual = errors.New("an unusual object")

// decodeUsual decodes an envelope whose fields are there once and have the names and types that they are documented with, and whose content is a
// string with such an object. It looks at each byte once, where encoding/json does twice and by reflection. It returns nil for every other
// envelope. Every webhook comes this way.
func decodeUsual(body []byte) (*Envelope, *MessageIdentity) {
	var e Envelope
	var content []byte
	created := int64(0)
	err := eachMember(body, []string{"client_key", "event", "create_time", "user_openid", "content", "fetched"},
		func(d *jx.Decoder, name string) (err error) {
			switch name {
			case "client_key":
				e.ClientKey, err = d.Str()
			case "event":
				e.Event, err = d.Str()
			case "create_time":
				created, err = d.Int64()
				e.CreateTime = unixTime(number(created))
			case "user_openid":
				e.UserOpenID, err = d.Str()
			case "content":
				// With its escapes it is no longer than the body, which bounds it.
				content, err = d.StrAppend(make([]byte, 0, len(body)))
			default:
				err = errUnusual
			}
			return err
		})
	content = bytes.TrimSpace(content)
	if err != nil || e.Event == "" || !bytes.HasPrefix(content, []byte("{")) {
		return nil, nil
	}
	e.Content = content
	identity, err := usualIdentity(e.Content)
	if err != nil {
		return nil, nil
	}
	return &e, identity
}

// usualIdentity is DecodeMessageIdentity of a content that has no reaction.
func usualIdentity(content []byte) (*MessageIdentity, error) {
	var m MessageIdentity
	err := eachMember(content, []string{"conversation_id", "message_id", "reaction"}, func(d *jx.Decoder, name string) (err error) {
		switch name {
		case "conversation_id":
			m.ConversationID, err = d.Str()
		case "message_id":
			m.MessageID, err = d.Str()
		default:
			err = errUnusual
		}
		return err
	})
	return &m, err
}

// eachMember calls read for the members of an object that have one of the names. The error is not nil if a name comes twice, or in another case:
// encoding/json would take it too.
func eachMember(object []byte, names []string, read func(d *jx.Decoder, name string) error) error {
	if !utf8.Valid(object) || !bytes.HasSuffix(bytes.TrimRight(object, " \t\r\n"), []byte("}")) {
		return errUnusual
	}
	d := jx.GetDecoder()
	defer jx.PutDecoder(d)
	d.ResetBytes(object)
	seen := 0
	if err := d.ObjBytes(func(d *jx.Decoder, key []byte) error {
		for i, name := range names {
			switch {
			case string(key) == name && seen&(1<<i) == 0:
				seen |= 1 << i
				return read(d, name)
			case bytes.EqualFold(key, []byte(name)):
				return errUnusual
			}
		}
		return d.Skip()
	}); err != nil {
		return err
	}
	if err := d.Skip(); !errors.Is(err, io.EOF) { // something follows
		return errUnusual
	}
	return nil
}
