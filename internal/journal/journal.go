// Package journal keeps TikTok's answer to a refresh in the pod's own volume from the moment it arrives until the token Secret holds it. A
// refresh token rotates on every use, so an answer that is lost may disconnect a business for good: the journal carries it over a crash of
// the process, and over an API server that is away.
//
// Entries hold tokens in clear: the directory belongs on an in-memory volume of the pod. The package does not decide anything.
package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// Entry is one refresh.
type Entry struct {
	// Namespace, Name and UID of the channel.
	Namespace, Name, UID string
	// BaseDigest is the digest of the refresh token that the token Secret held when the refresh began; "" if none. The Secret is overwritten
	// only if it still holds that token.
	BaseDigest string
	// Memory is what is stored with the tokens.
	Memory token.Memory
	// Tokens are nil until TikTok answered.
	Tokens *token.Tokens
	// StartedAt is when the refresh began.
	StartedAt time.Time
}

// Journal is a directory of entries, one file a channel. The zero value, and nil, keep nothing.
type Journal struct {
	dir string
}

const suffix = ".refresh.json"

// Open opens, and makes, a journal directory. An empty dir gives a journal that keeps nothing.
func Open(dir string) (*Journal, error) {
	if dir == "" {
		return &Journal{}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the journal directory: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return nil, fmt.Errorf("writing to the journal directory: %w", err)
	}
	return &Journal{dir: dir}, errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// Write puts an entry in place of the channel's earlier one, whole or not at all, and returns once it is on the volume.
func (j *Journal) Write(e Entry) (err error) {
	if j == nil || j.dir == "" {
		return nil
	}
	text, err := json.Marshal(encode(e))
	if err != nil {
		return fmt.Errorf("encoding a journal entry: %w", err)
	}
	tmp, err := os.CreateTemp(j.dir, ".entry-*") // CreateTemp makes it 0600
	if err != nil {
		return fmt.Errorf("writing a journal entry: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	// Renamed before it is synced: a process that is killed meanwhile leaves the entry behind, however slow the volume is. What a sync would
	// add before the rename, that a crash of the machine never shows half an entry, is worth less: there the answer is lost either way.
	if _, err = tmp.Write(text); err == nil {
		err = os.Rename(tmp.Name(), j.path(e.UID))
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("writing a journal entry: %w", err)
	}
	return j.sync()
}

// Remove drops a channel's entry, if there is one.
func (j *Journal) Remove(uid string) error {
	if j == nil || j.dir == "" {
		return nil
	}
	if err := os.Remove(j.path(uid)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing a journal entry: %w", err)
	}
	return nil
}

// Entries reads all entries, of an earlier process too. A file that cannot be read is reported, beside the others.
func (j *Journal) Entries() ([]Entry, error) {
	if j == nil || j.dir == "" {
		return nil, nil
	}
	files, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, fmt.Errorf("reading the journal directory: %w", err)
	}
	var entries []Entry
	var errs []error
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), suffix) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(j.dir, f.Name()))
		if err != nil {
			errs = append(errs, fmt.Errorf("reading a journal entry: %w", err))
			continue
		}
		e, err := decode(text)
		if err != nil {
			// The text may hold tokens: the error names the file only.
			errs = append(errs, fmt.Errorf("journal entry %s cannot be decoded", f.Name()))
			continue
		}
		entries = append(entries, e)
	}
	return entries, errors.Join(errs...)
}

func (j *Journal) path(uid string) string {
	// A UID is hexadecimal with dashes; Base keeps a malformed one inside the directory.
	return filepath.Join(j.dir, filepath.Base("/"+uid)+suffix)
}

func (j *Journal) sync() error {
	d, err := os.Open(j.dir)
	if err != nil {
		return fmt.Errorf("syncing the journal directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("syncing the journal directory: %w", err)
	}
	return nil
}

// The file format. Tokens refuse to be marshalled by themselves, on purpose: here, and in the Secret, is where they may be written out.
type (
	entryFile struct {
		Namespace  string       `json:"namespace"`
		Name       string       `json:"name"`
		UID        string       `json:"uid"`
		BaseDigest string       `json:"baseDigest"`
		Memory     token.Memory `json:"memory"`
		Tokens     *tokensFile  `json:"tokens,omitempty"`
		StartedAt  time.Time    `json:"startedAt"`
	}
	tokensFile struct {
		AccessToken           string    `json:"accessToken"`
		RefreshToken          string    `json:"refreshToken"`
		AccessTokenExpiresAt  time.Time `json:"accessTokenExpiresAt"`
		RefreshTokenExpiresAt time.Time `json:"refreshTokenExpiresAt"`
		BusinessID            string    `json:"businessID"`
		Scopes                []string  `json:"scopes"`
		ObtainedAt            time.Time `json:"obtainedAt"`
	}
)

func encode(e Entry) entryFile {
	f := entryFile{
		Namespace: e.Namespace, Name: e.Name, UID: e.UID, BaseDigest: e.BaseDigest, Memory: e.Memory, StartedAt: e.StartedAt,
	}
	if t := e.Tokens; t != nil {
		f.Tokens = &tokensFile{
			AccessToken: t.AccessToken.Reveal(), RefreshToken: t.RefreshToken.Reveal(),
			AccessTokenExpiresAt: t.AccessTokenExpiresAt, RefreshTokenExpiresAt: t.RefreshTokenExpiresAt,
			BusinessID: t.BusinessID, Scopes: t.Scopes, ObtainedAt: t.ObtainedAt,
		}
	}
	return f
}

func decode(text []byte) (Entry, error) {
	var f entryFile
	if err := json.Unmarshal(text, &f); err != nil {
		return Entry{}, err
	}
	if f.Namespace == "" || f.Name == "" || f.UID == "" {
		return Entry{}, errors.New("no channel")
	}
	e := Entry{
		Namespace: f.Namespace, Name: f.Name, UID: f.UID, BaseDigest: f.BaseDigest, Memory: f.Memory, StartedAt: f.StartedAt,
	}
	if t := f.Tokens; t != nil {
		if t.RefreshToken == "" {
			return Entry{}, errors.New("no refresh token")
		}
		e.Tokens = &token.Tokens{
			AccessToken: tiktok.Secret(t.AccessToken), RefreshToken: tiktok.Secret(t.RefreshToken),
			AccessTokenExpiresAt: t.AccessTokenExpiresAt, RefreshTokenExpiresAt: t.RefreshTokenExpiresAt,
			BusinessID: t.BusinessID, Scopes: t.Scopes, ObtainedAt: t.ObtainedAt,
		}
	}
	return e, nil
}
