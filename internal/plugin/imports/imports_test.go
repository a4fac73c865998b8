package imports

import (
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
		refused        bool
	}{
		{name: "flat", in: `{"refresh_token":" rft.1 ","access_token":"act.1","scope":"x"}`, want: "rft.1 act.1"},
		{name: "TikTok's answer", in: `{"code":0,"data":{"refresh_token":"rft.1","access_token":"act.1"}}`, want: "rft.1 act.1"},
		{name: "refresh token alone", in: `{"refresh_token":"rft.1"}`, want: "rft.1 "},
		{name: "none", in: `{"access_token":"act.1"}`, refused: true},
		{name: "empty", in: `{"refresh_token":""}`, refused: true},
		{name: "of another type", in: `{"refresh_token":{"rft":"secret-1"}}`, refused: true},
		{name: "not JSON", in: `rft.secret-1`, refused: true},
		{name: "a list", in: `["secret-1"]`, refused: true},
		{name: "too long", in: `{"refresh_token":"` + strings.Repeat("secret-1", 10_000) + `"}`, refused: true},
	} {
		tokens, err := read(strings.NewReader(tt.in), "-")
		if (err != nil) != tt.refused {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret-1") {
			t.Errorf("%s: the error repeats a token: %v", tt.name, err)
		}
		if got := tokens["refresh_token"] + " " + tokens["access_token"]; err == nil && got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
