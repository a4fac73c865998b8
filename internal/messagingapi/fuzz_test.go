package messagingapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
	"github.com/tiktok-operator/tiktok-operator/internal/conversation"
)

func FuzzPlace(f *testing.F) {
	for _, s := range []string{"1-abc", "18446744073709551615--z", "0-1", "01-1", "+1-1", "1-1-1", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sequence, epoch, ok := readPlace(text)
		if ok && (sequence == 0 || formatPlace(sequence, epoch) != text) {
			t.Errorf("%q is read as %d of %d", text, sequence, epoch)
		}
	})
}

func FuzzMessageToken(f *testing.F) {
	for _, s := range []string{"", "MSBh", "LTEgYQ", "eA"} {
		f.Add(s, int64(1), "a b")
	}
	all := []conversation.Message{{ID: "b", At: time.Unix(2, 0)}, {SendID: "a", At: time.Unix(1, 0)}}
	f.Fuzz(func(t *testing.T, text string, at int64, id string) {
		if rest, err := following(all, text); err == nil && len(rest) > len(all) {
			t.Errorf("%q: %v", text, rest)
		}
		m := conversation.Message{ID: id, At: time.Unix(0, at)}
		if gotAt, gotID, ok := readMessageToken(formatMessage(m)); !ok || !gotAt.Equal(m.At) || gotID != id {
			t.Errorf("%d %q is read back as %v %q %v", at, id, gotAt, gotID, ok)
		}
	})
}

func FuzzStart(f *testing.F) {
	f.Add("since=2026-08-01T10:00:00Z", "5-a", uint64(7))
	f.Add("since=0000-01-01T00:00:00Z", "18446744073709551615", uint64(math.MaxUint64))
	f.Add("", "", uint64(0))
	now := time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, query, last string, newest uint64) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		s, err := parseStart(values, http.Header{lastEventHeader: {last}})
		if err != nil {
			return
		}
		p := s.position(newest, 10, now)
		if p.Sequence > newest || p.From.After(now) || (!p.From.IsZero() && p.From.Before(time.Unix(0, 0))) {
			t.Errorf("%q %q begins at %+v, the newest is %d", query, last, p, newest)
		}
	})
}

func FuzzFileType(f *testing.F) {
	for _, s := range []string{"<html>", "\x89PNG\r\n\x1a\n", "\x00\x00\x00\x18ftypheic", "\xff\xff\xff\xffftypqt  ", "GIF89a<script>", ""} {
		f.Add([]byte(s))
	}
	known := []string{
		"image/jpeg", "image/png", "image/webp", "image/gif", "image/heic", "image/heif", "video/mp4", "video/quicktime", "video/webm", anyFile,
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		if kind := fileType(head); !slices.Contains(known, kind) {
			t.Errorf("%q is %s", head, kind)
		}
	})
}

func FuzzPage(f *testing.F) {
	f.Add("limit=5&continue=x")
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		if q, err := parsePage(values); err == nil && (q.limit < 1 || q.limit > maxLimit) {
			t.Errorf("%q: %+v", query, q)
		} else if err != nil {
			if _, err := json.Marshal(err.Error()); err != nil {
				t.Error(err)
			}
		}
	})
}

// A body is a message or a problem; an image of a message is the part's bytes, and has one of the types that TikTok takes.
func FuzzMessage(f *testing.F) {
	const kind = "multipart/form-data; boundary=x"
	part := func(name, content string) string {
		return "--x\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + content + "\r\n"
	}
	for _, body := range []string{
		`{"text":"Hello","replyTo":"7"}`, `{"image":{"mediaID":"m1"}}`, `{"post":{"id":"7"}}`,
		`{"card":{"kind":"buttons","title":"?","buttons":[{"label":"Yes","id":"1"}]}}`, `{"text":"x","image":{"mediaID":"m1"}}`, `{"text":7}`, `{}{}`,
	} {
		f.Add("application/json", []byte(body))
	}
	f.Add(kind, []byte(part("image", "\x89PNG\r\n\x1a\n")+"--x--\r\n"))
	f.Add(kind, []byte(part("image", "\xff\xd8\xff\xe0")+part("text", "Hello")+part("replyTo", "7")+"--x--\r\n"))
	f.Add(kind, []byte(part("image", "\x89PNG\r\n\x1a\n")))
	f.Add(kind, []byte(part("other", "x")+"--x--"))
	f.Add("multipart/form-data; boundary=\"\"", []byte("--"))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", kind)
		m, image, err := readMessage(httptest.NewRecorder(), r)
		var p *problem.Error
		switch {
		case err != nil && !errors.As(err, &p):
			t.Fatalf("no problem: %v", err)
		case err != nil:
			if p.Status < 400 || p.Status >= 500 || p.Detail == "" {
				t.Fatalf("the problem is %+v", p.Problem)
			}
		case (image != nil) != (len(m.Images) > 0):
			t.Fatalf("%d images, and their bytes: %t", len(m.Images), image != nil)
		case image != nil && (!bytes.Contains(body, image) || !isForm(r)):
			t.Fatalf("the image is not what was sent")
		}
	})
}
