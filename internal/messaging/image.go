package messaging

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// ImageFormat is a format of images that TikTok takes.
type ImageFormat string

// Formats.
const (
	JPEG ImageFormat = "image/jpeg"
	PNG  ImageFormat = "image/png"
)

const (
	// MaxImageBytes is TikTok's 3 MB where it counts a megabyte as a million bytes, which is not known; up to MaxImageBytesDoubtful it may be
	// that TikTok takes the image.
	MaxImageBytes         = 3_000_000
	MaxImageBytesDoubtful = 3 << 20
	// MaxImageSide and MaxImagePixels are this operator's bounds, not TikTok's: what is larger in so few bytes is made to exhaust whoever
	// unpacks it.
	MaxImageSide   = 16_384
	MaxImagePixels = 64_000_000
)

// Image is what is known of an image's file.
type Image struct {
	Format        ImageFormat
	Bytes         int
	Width, Height int
}

// InspectImage looks at a file that is to be sent: what it is, by its content and not its name; that it is whole, and nothing else besides. No
// pixel is decoded, so that a hostile file costs no more than its length. The refusal is nil if the image is good.
func InspectImage(data []byte) (Image, *Refusal) {
	i := Image{Bytes: len(data)}
	if len(data) > MaxImageBytesDoubtful {
		return i, imageTooLarge(len(data))
	}
	var problem string
	switch {
	case len(data) == 0:
		return i, refuse(ReasonImageUnsupported, "The file is empty. Send a JPEG or PNG image.")
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		i.Format = JPEG
		i.Width, i.Height, problem = inspectJPEG(data)
	case bytes.HasPrefix(data, []byte(pngSignature)):
		i.Format = PNG
		i.Width, i.Height, problem = inspectPNG(data)
	default:
		return i, refuse(ReasonImageUnsupported, "The file is neither JPEG nor PNG, whatever its name says. Convert it to one of them.")
	}
	switch {
	case problem != "":
		return i, refuse(ReasonImageDamaged, "The image %s. Open it in an image editor and save it anew.", problem)
	case i.Width > MaxImageSide || i.Height > MaxImageSide || i.Width*i.Height > MaxImagePixels:
		return i, refuse(ReasonImageTooLarge, "The image has %d × %d pixels; at most %d on a side and %d million in all are passed on. Scale it down.",
			i.Width, i.Height, MaxImageSide, MaxImagePixels/1_000_000)
	}
	return i, nil
}

func imageTooLarge(n int) *Refusal {
	return refuse(ReasonImageTooLarge, "The image has %d bytes, and TikTok takes 3 MB. Scale it down or compress it more.", n)
}

const pngSignature = "\x89PNG\r\n\x1a\n"

// inspectPNG walks the chunks: each whole and with the right checksum, the header first, the end last and at the end of the file.
func inspectPNG(data []byte) (width, height int, problem string) {
	const around = 12 // bytes of a chunk besides its content
	hasPixels := false
	for rest := data[len(pngSignature):]; ; {
		if len(rest) < around {
			return 0, 0, "breaks off"
		}
		n := binary.BigEndian.Uint32(rest)
		if uint64(n)+around > uint64(len(rest)) {
			return 0, 0, "breaks off"
		}
		kind, content := string(rest[4:8]), rest[8:8+n]
		if crc32.ChecksumIEEE(rest[4:8+n]) != binary.BigEndian.Uint32(rest[8+n:]) {
			return 0, 0, "has a part with a wrong checksum"
		}
		first := width == 0
		switch {
		case first && (kind != "IHDR" || len(content) != 13), !first && kind == "IHDR":
			return 0, 0, "has no header, or two"
		case first:
			w, h := binary.BigEndian.Uint32(content), binary.BigEndian.Uint32(content[4:])
			if w == 0 || h == 0 || w > 1<<31-1 || h > 1<<31-1 {
				return 0, 0, "has no size"
			}
			width, height = int(w), int(h)
		case kind == "IDAT":
			hasPixels = true
		case kind == "IEND":
			switch {
			case !hasPixels:
				return 0, 0, "has no pixels"
			case len(rest) > int(n)+around:
				return 0, 0, "is followed by something that is no image"
			}
			return width, height, ""
		}
		rest = rest[n+around:]
	}
}

// inspectJPEG walks the segments up to the end of the image. What may follow is another JPEG, as cameras append, or zeros.
func inspectJPEG(data []byte) (width, height int, problem string) {
	width, height, rest, problem := oneJPEG(data)
	for problem == "" && len(bytes.TrimLeft(rest, "\x00")) > 0 {
		if !bytes.HasPrefix(rest, []byte("\xff\xd8\xff")) {
			return 0, 0, "is followed by something that is no image"
		}
		_, _, rest, problem = oneJPEG(rest)
	}
	return width, height, problem
}

// oneJPEG reads one image and returns what follows it.
func oneJPEG(data []byte) (width, height int, rest []byte, problem string) {
	const end, scan = 0xd9, 0xda
	hasPixels := false
	for rest = data[2:]; ; {
		if len(rest) < 2 {
			return 0, 0, nil, "breaks off"
		}
		if rest[0] != 0xff {
			return 0, 0, nil, "is not made as a JPEG is"
		}
		marker := rest[1]
		switch {
		case marker == 0xff: // padding
			rest = rest[1:]
			continue
		case marker == end && width > 0 && hasPixels:
			return width, height, rest[2:], ""
		case marker == end:
			return 0, 0, nil, "has no pixels"
		case marker < 0xc0, marker >= 0xd0 && marker <= 0xd8:
			return 0, 0, nil, "is not made as a JPEG is"
		case len(rest) < 4:
			return 0, 0, nil, "breaks off"
		}
		n := int(binary.BigEndian.Uint16(rest[2:]))
		if n < 2 || n+2 > len(rest) {
			return 0, 0, nil, "breaks off"
		}
		content := rest[4 : 2+n]
		rest = rest[2+n:]
		// 0xc0 to 0xcf begin the image, but for three that hold tables.
		if marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc {
			if width > 0 || len(content) < 6 {
				return 0, 0, nil, "has two sizes, or half of one"
			}
			height, width = int(binary.BigEndian.Uint16(content[1:])), int(binary.BigEndian.Uint16(content[3:]))
			if width == 0 || height == 0 {
				return 0, 0, nil, "has no size"
			}
		}
		if marker == scan {
			if width == 0 {
				return 0, 0, nil, "has pixels before its size"
			}
			hasPixels = true
			rest = afterScan(rest)
		}
	}
}

// afterScan skips the pixels, in which a marker is never preceded by anything but itself.
func afterScan(rest []byte) []byte {
	for {
		i := bytes.IndexByte(rest, 0xff)
		if i < 0 || i+1 >= len(rest) {
			return nil
		}
		if next := rest[i+1]; next != 0 && next != 0xff && (next < 0xd0 || next > 0xd7) {
			return rest[i:]
		}
		rest = rest[i+1:]
	}
}

// String names the image for a person.
func (i Image) String() string {
	return fmt.Sprintf("%s, %d × %d, %d bytes", i.Format, i.Width, i.Height, i.Bytes)
}
