package messaging

import (
	"unicode"
	"unicode/utf16"
)

// MaxTextLength is how many characters a text may have, spaces and emoji counted.
const MaxTextLength = 6000

// How TikTok counts an emoji is not known: as one character, as its code points, or as the UTF-16 units that it takes. So a text has a least and
// a greatest length, which for most texts are the same; a text whose least length is too great is too long however TikTok counts.

// length is a text's least and greatest number of characters.
func length(text string) (least, greatest int) {
	joined, regional := false, false
	var before rune
	for _, r := range text {
		greatest += utf16.RuneLen(max(r, 0))
		switch {
		case r == '\u200d': // joins two emoji to one
			joined = true
			before = r
			continue
		case joined, extends(r), r == '\n' && before == '\r':
		case r >= 0x1f1e6 && r <= 0x1f1ff: // two letters make a flag
			if !regional {
				least++
			}
			regional = !regional
			joined, before = false, r
			continue
		default:
			least++
		}
		joined, regional, before = false, false, r
	}
	return least, greatest
}

// extends says whether a code point belongs to the character before it: accents, skin tones, variants, tags, and the vowels of Hangul.
func extends(r rune) bool {
	switch {
	case unicode.Is(unicode.M, r), r >= 0x1f3fb && r <= 0x1f3ff, r >= 0xe0020 && r <= 0xe007f, r >= 0x1160 && r <= 0x11ff, r == '\u200c':
		return true
	}
	return r >= 0xd7b0 && r <= 0xd7ff
}
