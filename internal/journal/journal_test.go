package journal_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/journal"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

var begun = time.Date(2031, 5, 1, 12, 0, 0, 123456789, time.UTC)

// entry is a refresh of a channel with TikTok's answer.
func entry(uid string) journal.Entry {
	return journal.Entry{
		Namespace: "shop", Name: "channel-" + uid, UID: uid, BaseDigest: "d1935f", StartedAt: begun,
		Memory: token.Memory{HandledRequest: "now", ImportDigest: "ab12", Failures: &token.Failures{Count: 2, LastTime: begun, Message: "slow"}},
		Tokens: &token.Tokens{
			AccessToken: tiktok.Secret("SECRET-access-" + uid), RefreshToken: tiktok.Secret("SECRET-refresh-" + uid),
			AccessTokenExpiresAt: begun.Add(time.Hour), RefreshTokenExpiresAt: begun.Add(time.Hour * 24 * 365),
			BusinessID: "business", Scopes: []string{"a", "b"}, ObtainedAt: begun.Truncate(time.Second),
		},
	}
}

func open(t *testing.T, dir string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func write(t *testing.T, j *journal.Journal, e journal.Entry) {
	t.Helper()
	if err := j.Write(e); err != nil {
		t.Fatal(err)
	}
}

// wants fails unless a process that starts now finds these entries and no fault.
func wants(t *testing.T, dir string, want ...journal.Entry) {
	t.Helper()
	got, err := open(t, dir).Entries()
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
}

func same(t *testing.T, got, want []journal.Entry) {
	t.Helper()
	if len(got) != len(want) || (len(want) > 0 && !reflect.DeepEqual(got, want)) {
		t.Fatalf("entries\n%+v, want\n%+v", got, want)
	}
}

// TestSurvives: what was written is found by the next process, until it is removed.
func TestSurvives(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volume", "journal")
	j := open(t, dir)
	wants(t, dir)
	started := entry("1")
	started.Tokens = nil
	write(t, j, started)
	wants(t, dir, started)
	write(t, j, entry("1"))
	write(t, j, entry("2"))
	wants(t, dir, entry("1"), entry("2"))
	for range 2 { // what is gone already is no error
		if err := open(t, dir).Remove("1"); err != nil {
			t.Fatal(err)
		}
		wants(t, dir, entry("2"))
	}
}

// TestPermissions: nobody but the process's own user reads tokens.
func TestPermissions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	write(t, open(t, dir), entry("1"))
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory %v %v", info.Mode(), err)
	}
	for name, text := range files(t, dir) {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s %v %v: %d bytes", name, info.Mode(), err, len(text))
		}
	}
}

// TestHoldsNoMore: an entry says what the Secret will, and to which channel it belongs; before TikTok's answer it holds no token at all.
func TestHoldsNoMore(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	e := entry("1")
	for _, want := range []string{
		"baseDigest memory name namespace startedAt uid",
		"accessToken accessTokenExpiresAt baseDigest businessID memory name namespace obtainedAt refreshToken refreshTokenExpiresAt scopes startedAt " +
			"tokens uid",
	} {
		if e.Tokens = entry("1").Tokens; !strings.Contains(want, "tokens") {
			e.Tokens = nil
		}
		write(t, j, e)
		all := files(t, dir)
		if len(all) != 1 {
			t.Fatalf("files %v", slices.Collect(maps.Keys(all)))
		}
		for _, text := range all {
			var f map[string]any
			if err := json.Unmarshal([]byte(text), &f); err != nil {
				t.Fatal(err)
			}
			keys := slices.Collect(maps.Keys(f))
			if tokens, ok := f["tokens"].(map[string]any); ok {
				keys = append(keys, slices.Collect(maps.Keys(tokens))...)
			}
			slices.Sort(keys)
			if got := strings.Join(keys, " "); got != want {
				t.Errorf("keys %s, want %s", got, want)
			}
			if e.Tokens == nil && strings.Contains(text, "SECRET") {
				t.Error("an entry without an answer holds a token")
			}
		}
	}
}

// TestWriters: writers of one channel, and of several, at once: each file is one whole entry, and nothing else stays.
func TestWriters(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	var all sync.WaitGroup
	for writer := range 8 {
		all.Go(func() {
			for round := range 10 {
				e := entry("shared")
				e.BaseDigest = fmt.Sprintf("%d-%d", writer, round)
				e.Memory.HandledRequest = strings.Repeat(e.BaseDigest, 1+round*500)
				write(t, j, e)
				write(t, j, entry(fmt.Sprint(writer)))
			}
		})
	}
	all.Wait()
	entries, err := open(t, dir).Entries()
	if err != nil || len(entries) != 9 || len(files(t, dir)) != 9 {
		t.Fatalf("%d entries in %d files, error %v", len(entries), len(files(t, dir)), err)
	}
	e := entries[8]
	if e.UID != "shared" || !strings.HasSuffix(e.BaseDigest, "-9") || e.Memory.HandledRequest != strings.Repeat(e.BaseDigest, 1+9*500) {
		t.Errorf("the last entry of the shared channel is %s of %s", e.BaseDigest, e.UID)
	}
}

// TestKeepsNothing: without a directory everything works and nothing is kept.
func TestKeepsNothing(t *testing.T) {
	for _, j := range []*journal.Journal{nil, {}, open(t, "")} {
		write(t, j, entry("1"))
		if err := j.Remove("1"); err != nil {
			t.Error(err)
		}
		if entries, err := j.Entries(); err != nil || len(entries) != 0 {
			t.Errorf("%v %v", entries, err)
		}
	}
}

// TestStaysInside: a UID that is no UID does not lead out of the directory.
func TestStaysInside(t *testing.T) {
	for _, uid := range []string{"../out", "..", "/etc/out", "a/../../out"} {
		parent := t.TempDir()
		dir := filepath.Join(parent, "journal")
		j := open(t, dir)
		write(t, j, entry(uid))
		if found, err := os.ReadDir(parent); err != nil || len(found) != 1 {
			t.Errorf("%s: %v %v", uid, found, err)
		}
		wants(t, dir, entry(uid))
		if err := j.Remove(uid); err != nil || len(files(t, dir)) != 0 {
			t.Errorf("%s is not removed: %v", uid, err)
		}
	}
}

// files are the names and texts of what is in a directory.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range found {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[f.Name()] = string(text)
	}
	return all
}

// TestOpenRemovesWhatWasNotFinished: a process that is killed in the midst of a write leaves a file with tokens in clear.
func TestOpenRemovesWhatWasNotFinished(t *testing.T) {
	dir := t.TempDir()
	keep := filepath.Join(dir, "user's file")
	for _, name := range []string{filepath.Join(dir, ".entry-123"), filepath.Join(dir, ".probe-123"), keep} {
		if err := os.WriteFile(name, []byte(`{"half":`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := journal.Open(dir); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != filepath.Base(keep) {
		t.Fatalf("left: %v, %v", left, err)
	}
}

// TestCheck: a journal that can be opened can be written, until something is the matter with its volume.
func TestCheck(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j := open(t, dir)
	write(t, j, entry("1"))
	if err := j.Check(); err != nil {
		t.Error(err)
	}
	wants(t, dir, entry("1"))
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := j.Check(); err == nil || !strings.Contains(err.Error(), "writing to the journal directory") {
		t.Errorf("a directory that is gone: %v", err)
	}
	if err := open(t, "").Check(); err != nil {
		t.Errorf("a journal that keeps nothing: %v", err)
	}
}
