package journal

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// TestWriteIsSynced: Write returns after the entry, already in its place, and then its name in the directory, were brought to the volume; where
// that fails it says so.
func TestWriteIsSynced(t *testing.T) {
	dir := t.TempDir()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var synced []string
	fail := ""
	j.fsync = func(f *os.File) error {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		what := "entry"
		if info.IsDir() {
			what = "directory"
		} else if text, err := os.ReadFile(j.path("1")); err != nil || int64(len(text)) != info.Size() || !strings.Contains(string(text), "token") {
			t.Errorf("%d bytes are synced while the entry is %q (%v)", info.Size(), text, err)
		}
		synced = append(synced, what)
		if what == fail {
			return errors.New("the volume is full")
		}
		return f.Sync()
	}
	e := Entry{Namespace: "shop", Name: "channel", UID: "1", Tokens: &token.Tokens{RefreshToken: "token"}}
	if err := j.Write(e); err != nil || !slices.Equal(synced, []string{"entry", "directory"}) {
		t.Errorf("synced %v, error %v", synced, err)
	}
	for _, fail = range []string{"entry", "directory"} {
		if err := j.Write(e); err == nil || !strings.Contains(err.Error(), "full") {
			t.Errorf("the sync of the %s failed, and Write said %v", fail, err)
		}
	}
}
