package messaging_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
)

func picture() image.Image {
	p := image.NewRGBA(image.Rect(0, 0, 31, 17))
	for x := range 31 {
		for y := range 17 {
			p.Set(x, y, color.RGBA{uint8(x * 8), uint8(y * 15), uint8(x * y), 255})
		}
	}
	return p
}

func pngFile(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, picture()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegFile(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture(), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// resizedPNG claims another size.
func resizedPNG(t testing.TB, width, height uint32) []byte {
	b := bytes.Clone(pngFile(t))
	binary.BigEndian.PutUint32(b[16:], width)
	binary.BigEndian.PutUint32(b[20:], height)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

// resizedJPEG claims another size.
func resizedJPEG(t testing.TB, width, height uint16) []byte {
	b := bytes.Clone(jpegFile(t))
	i := bytes.Index(b, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(b[i+5:], height)
	binary.BigEndian.PutUint16(b[i+7:], width)
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestInspectImage(t *testing.T) {
	p, j := pngFile(t), jpegFile(t)
	iend := p[len(p)-12:]
	wrong := bytes.Clone(p)
	wrong[50] ^= 1
	comment := func(text string) []byte {
		return join(j[:2], []byte{0xff, 0xfe, 0, byte(2 + len(text))}, []byte(text), j[2:])
	}
	for name, tt := range map[string]struct {
		data []byte
		want messaging.Reason // "" for a good one
	}{
		"PNG":                           {p, ""},
		"JPEG":                          {j, ""},
		"JPEG with a comment":           {comment("hello"), ""},
		"JPEG with padding":             {join(j[:2], []byte{0xff}, j[2:]), ""},
		"JPEG with a second one behind": {join(j, j), ""},
		"JPEG with zeros behind":        {join(j, make([]byte, 100)), ""},
		"nothing":                       {nil, messaging.ReasonImageUnsupported},
		"GIF":                           {[]byte("GIF89a\x01\x00\x01\x00"), messaging.ReasonImageUnsupported},
		"WebP":                          {[]byte("RIFF\x00\x00\x00\x00WEBPVP8 "), messaging.ReasonImageUnsupported},
		"SVG":                           {[]byte("<svg onload=alert(1)>"), messaging.ReasonImageUnsupported},
		"a program":                     {[]byte("MZ\x90\x00"), messaging.ReasonImageUnsupported},
		"space before":                  {join([]byte(" "), p), messaging.ReasonImageUnsupported},
		"two bytes of JPEG":             {j[:2], messaging.ReasonImageUnsupported},
		"three bytes of JPEG":           {j[:3], messaging.ReasonImageDamaged},
		"half a PNG":                    {p[:len(p)/2], messaging.ReasonImageDamaged},
		"half a JPEG":                   {j[:len(j)/2], messaging.ReasonImageDamaged},
		"PNG without its last byte":     {p[:len(p)-1], messaging.ReasonImageDamaged},
		"JPEG without its last byte":    {j[:len(j)-1], messaging.ReasonImageDamaged},
		"PNG with a wrong checksum":     {wrong, messaging.ReasonImageDamaged},
		"PNG without pixels":            {join(p[:33], iend), messaging.ReasonImageDamaged},
		"PNG with two headers":          {join(p[:33], p[8:]), messaging.ReasonImageDamaged},
		"PNG without a header":          {join(p[:8], iend), messaging.ReasonImageDamaged},
		"PNG and ZIP":                   {join(p, []byte("PK\x03\x04")), messaging.ReasonImageDamaged},
		"JPEG and ZIP":                  {join(j, []byte("PK\x03\x04")), messaging.ReasonImageDamaged},
		"JPEG and zeros and a page":     {join(j, make([]byte, 10), []byte("<script>")), messaging.ReasonImageDamaged},
		"JPEG and half a JPEG":          {join(j, j[:len(j)/2]), messaging.ReasonImageDamaged},
		"JPEG of markers only":          {[]byte("\xff\xd8\xff\xd9"), messaging.ReasonImageDamaged},
		"PNG of no width":               {resizedPNG(t, 0, 1), messaging.ReasonImageDamaged},
		"PNG of a giant":                {resizedPNG(t, 1<<31-1, 1<<31-1), messaging.ReasonImageTooLarge},
		"PNG beyond its format":         {resizedPNG(t, 1<<31, 1), messaging.ReasonImageDamaged},
		"PNG of many pixels":            {resizedPNG(t, 10_000, 10_000), messaging.ReasonImageTooLarge},
		"PNG that is long":              {resizedPNG(t, 16_385, 1), messaging.ReasonImageTooLarge},
		"PNG of just that length":       {resizedPNG(t, 16_384, 1), ""},
		"JPEG of a giant":               {resizedJPEG(t, 65_535, 65_535), messaging.ReasonImageTooLarge},
		"JPEG of no height":             {resizedJPEG(t, 10, 0), messaging.ReasonImageDamaged},
		"more than 3 MiB":               {join(p, make([]byte, 3<<20)), messaging.ReasonImageTooLarge},
		"more than 3 MiB of nothing":    {make([]byte, 3<<20+1), messaging.ReasonImageTooLarge},
	} {
		i, refusal := messaging.InspectImage(tt.data)
		switch {
		case refusal == nil && tt.want != "", refusal != nil && refusal.Reason != tt.want:
			t.Errorf("%s: %+v, want %q", name, refusal, tt.want)
		case refusal != nil:
			checkSentence(t, refusal)
		case i.Bytes != len(tt.data) || i.Width == 0 || i.Height == 0 || i.String() == "":
			t.Errorf("%s: %s", name, i)
		}
	}
	for want, data := range map[messaging.ImageFormat][]byte{messaging.PNG: p, messaging.JPEG: j} {
		if i, _ := messaging.InspectImage(data); i != (messaging.Image{Format: want, Bytes: len(data), Width: 31, Height: 17}) {
			t.Errorf("got %s", i)
		}
	}
}

// FuzzInspectImage: what passes has the size that the decoders read, begins as its format does, and no prefix of a PNG passes too.
func FuzzInspectImage(f *testing.F) {
	f.Add(pngFile(f))
	f.Add(jpegFile(f))
	f.Add([]byte("\xff\xd8\xff\xc0\x00\x08\x08\x00\x01\x00\x01\x00\xff\xda\x00\x02\xff\xd9"))
	f.Fuzz(func(t *testing.T, data []byte) {
		i, refusal := messaging.InspectImage(data)
		if refusal != nil {
			return
		}
		if i.Width < 1 || i.Height < 1 || i.Width > messaging.MaxImageSide || i.Height > messaging.MaxImageSide {
			t.Fatalf("%s passes", i)
		}
		decode := map[messaging.ImageFormat]func(*bytes.Reader) (image.Config, error){
			messaging.PNG:  func(r *bytes.Reader) (image.Config, error) { return png.DecodeConfig(r) },
			messaging.JPEG: func(r *bytes.Reader) (image.Config, error) { return jpeg.DecodeConfig(r) },
		}[i.Format]
		if config, err := decode(bytes.NewReader(data)); err == nil && (config.Width != i.Width || config.Height != i.Height) {
			t.Fatalf("%s, and the decoder reads %d × %d", i, config.Width, config.Height)
		}
		if i.Format == messaging.PNG {
			if _, refusal := messaging.InspectImage(data[:len(data)-1]); refusal == nil {
				t.Fatal("it passes without its last byte")
			}
		}
	})
}

// chunk is a PNG's: kind and content come together.
func chunk(kindAndContent []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(kindAndContent)-4))
	b = append(b, kindAndContent...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(kindAndContent))
}
