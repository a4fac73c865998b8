package messagingapi

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"slices"
)

// sniffed is how many bytes of a file tell its type.
const sniffed = 512

// anyFile is the type of what is none of those that are shown.
const anyFile = "application/octet-stream"

// fileType tells an image or a video by its first bytes, whatever its sender claims that it is: a browser must never be led to take a user's file
// for a page.
func fileType(head []byte) string {
	if kind := brandType(head); kind != "" {
		return kind
	}
	kind := http.DetectContentType(head)
	if slices.Contains([]string{"image/jpeg", "image/png", "image/webp", "image/gif", "video/mp4", "video/webm"}, kind) {
		return kind
	}
	return anyFile
}

// brandType tells a file of the ISO base media format by its major brand, of which the standard library knows only some.
func brandType(head []byte) string {
	if len(head) < 12 || !bytes.Equal(head[4:8], []byte("ftyp")) || binary.BigEndian.Uint32(head) < 12 {
		return ""
	}
	switch string(head[8:12]) {
	case "isom", "iso2", "iso3", "iso4", "iso5", "iso6", "avc1", "mp41", "mp42", "mp71", "M4V ", "MSNV", "dash":
		return "video/mp4"
	case "qt  ":
		return "video/quicktime"
	case "heic", "heix", "heim", "heis":
		return "image/heic"
	case "mif1":
		return "image/heif"
	}
	return ""
}
