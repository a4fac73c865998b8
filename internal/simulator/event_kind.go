package simulator

import (
	"bytes"
	"cmp"
	"errors"
	"image"
	"image/color"
	"image/png"
	"time"
)

// Kinds of what a user sends.
const (
	kindText    = "text"
	kindImage   = "image"
	kindSticker = "sticker"
	kindPost    = "post"
	kindTap     = "tap"
)

// samplePost is the id of a made-up post.
const samplePost = "7400000000000000001"

// illustrate replaces the text of a made-up message by what its kind has.
func (s *Simulator) illustrate(content map[string]any, e Event, now time.Time) error {
	var (
		name  string
		block map[string]any
	)
	switch e.Kind {
	case kindImage:
		file := e.Image
		if len(file) == 0 {
			file = samplePicture()
		}
		id, fail := s.addImage(e.Business, file, now)
		if fail != nil {
			return errors.New("the image is not one: it must be JPEG or PNG, of at most 3 MB")
		}
		name, block = "image", map[string]any{"media_id": id}
	case kindSticker:
		name, block = "sticker", map[string]any{"url": "https://stickers.example/wave.webp?x-expires=1"}
	case kindPost:
		name, block = "share_post", postBlock(cmp.Or(e.Post, samplePost))
	case kindTap:
		return s.tap(content, e)
	default:
		return nil
	}
	delete(content, "text")
	content["type"], content[name] = name, block
	return nil
}

// ErrNoButton says that the user cannot tap a button: there is no such one in the conversation.
var ErrNoButton = errors.New("there is no such button: it must be one of a card among the conversation's 20 newest messages")

// tap makes a message of the tap on a card's button: a text, the button's label, that says which one was tapped. That TikTok's
// reply_source_unique_id is the button's id is a guess.
func (s *Simulator) tap(content map[string]any, e Event) error {
	messages, _ := s.conversations.messages(e.Business, e.Conversation)
	for _, m := range messages {
		if m.id != e.Card || !m.outbound {
			continue
		}
		for _, button := range cardOf(m.content).Buttons {
			if button.ID == e.Button {
				content["text"] = map[string]any{"body": button.Label}
				content["reply_source_payload"] = map[string]any{"reply_source_msg_id": m.id, "reply_source_unique_id": button.ID}
				return nil
			}
		}
	}
	return ErrNoButton
}

// samplePicture is a small PNG.
func samplePicture() []byte {
	const side = 48
	p := image.NewGray(image.Rect(0, 0, side, side))
	for x := range side {
		for y := range side {
			p.SetGray(x, y, color.Gray{uint8(x * y)})
		}
	}
	var b bytes.Buffer
	_ = png.Encode(&b, p) // a buffer takes everything
	return b.Bytes()
}
