package tiktok

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The types here never fail to decode: a field that is odd is a field that is missing. What must be there is checked by whoever needs it, so
// that an odd lifetime or scope does not cost a token that was issued.

// number is a whole number that may come as a string or with a fraction, which is cut off; 0 if it is anything else.
type number int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	v, _, _ := parseNumber(b)
	*n = number(v)
	return nil
}

// code is TikTok's code. It must be a whole number, as such or in a string: nothing else may pass for success.
type code struct {
	value int
	known bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *code) UnmarshalJSON(b []byte) error {
	v, whole, ok := parseNumber(b)
	*c = code{}
	if ok && whole && v >= math.MinInt32 && v <= math.MaxInt32 {
		*c = code{value: int(v), known: true}
	}
	return nil
}

// parseNumber reads a number or a string that holds one. Integers keep all their digits.
func parseNumber(b []byte) (v int64, whole, ok bool) {
	s := strings.TrimSpace(string(b))
	if unquoted := ""; strings.HasPrefix(s, `"`) && json.Unmarshal(b, &unquoted) == nil {
		s = strings.TrimSpace(unquoted)
	}
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return v, true, true
	}
	if strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, false, false // NaN, Inf and hexadecimal are no JSON
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.Abs(f) > 1<<53 {
		return 0, false, false
	}
	return int64(f), f == math.Trunc(f), true
}

// text is a string that may come as a number, whose digits are kept; "" if it is anything else.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	switch {
	case len(b) == 0:
	case b[0] == '-' || (b[0] >= '0' && b[0] <= '9'):
		*t = text(b)
	case b[0] == '"':
		// Most strings stand there as they are. This is on the way of every webhook, many times.
		if inner := b[1 : len(b)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
			*t = text(inner)
			return nil
		}
		var s string
		if json.Unmarshal(b, &s) == nil {
			*t = text(s)
		}
	}
	return nil
}

// scopes is a list that may come as one string with commas or spaces; nil if it is anything else.
type scopes []string

// UnmarshalJSON implements json.Unmarshaler.
func (s *scopes) UnmarshalJSON(b []byte) error {
	*s = nil
	var list []text
	if json.Unmarshal(b, &list) != nil {
		var joined text
		_ = joined.UnmarshalJSON(b)
		list = []text{joined}
	}
	for _, item := range list {
		*s = append(*s, strings.FieldsFunc(string(item), func(r rune) bool { return r == ',' || unicode.IsSpace(r) })...)
	}
	return nil
}

// flag is a truth value that may come as a string or a number; nil if it is anything else.
type flag struct{ value *bool }

// UnmarshalJSON implements json.Unmarshaler.
func (f *flag) UnmarshalJSON(b []byte) error {
	f.value = nil
	if v, err := strconv.ParseBool(strings.ToLower(strings.Trim(string(b), `"`))); err == nil {
		f.value = &v
	}
	return nil
}

// optional is a part that is empty where it has another shape than expected.
type optional[T any] struct{ value T }

// UnmarshalJSON implements json.Unmarshaler.
func (o *optional[T]) UnmarshalJSON(b []byte) error {
	var v T
	if json.Unmarshal(b, &v) == nil {
		o.value = v
	} else {
		o.value = *new(T)
	}
	return nil
}

// Bounds of the times that are believed: RFC 3339 can write them.
const (
	year1973 = 100_000_000_000     // in milliseconds; less than that is seconds
	year9999 = 253_370_764_800_000 // in milliseconds
)

// unixTime reads seconds or milliseconds since 1970: which of the two is told by the size. It is zero for what is neither.
func unixTime(n number) time.Time {
	switch {
	case n <= 0 || n >= year9999:
		return time.Time{}
	case n < year1973:
		return time.Unix(int64(n), 0).UTC()
	default:
		return time.UnixMilli(int64(n)).UTC()
	}
}
