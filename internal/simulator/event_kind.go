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
)

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
		name, block = "share_post", postBlock(cmp.Or(e.Post, "7400000000000000001"))
	default:
		return nil
	}
	delete(content, "text")
	content["type"], content[name] = name, block
	return nil
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
