package outboundtest

import (
	"bytes"
	"image"
	"image/png"
	"testing"
)

// OnePixel is the file of a PNG.
func OnePixel(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
