package tiktok_test

import (
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

func TestDecodeRemovalReason(t *testing.T) {
	for content, want := range map[string]int64{
		`{"reason":0}`: 0, `{"reason":5}`: 5, `{"reason":"4","else":1}`: 4, `{"reason":17}`: 17, `{"reason":{}}`: 0, `{}`: 0, `[]`: 0, `"x"`: 0, ``: 0,
	} {
		if got := tiktok.DecodeRemovalReason([]byte(content)); got != want {
			t.Errorf("%s: %d, want %d", content, got, want)
		}
	}
}
