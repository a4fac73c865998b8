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
)

// Journal is a directory of entries, one file a channel. The zero value, and nil, keep nothing. It is safe for concurrent use by one process.
type Journal struct {
	dir string
	// fsync brings a file, or the directory, to the volume; a test sees when it is called.
	fsync func(*os.File) error
}

const (
	suffix  = ".refresh.json"
	damaged = ".damaged" // follows the name of what was set aside

	// probeSize is that of an entry, in bytes, or more.
	probeSize = 4096
)

// The patterns of files that are not finished.
const (
	unfinishedEntry = ".entry-*"
	unfinishedProbe = ".probe-*"
)

// Open opens, and makes, a journal directory. An empty dir gives a journal that keeps nothing. What a process that was killed left
// unfinished is removed: it may hold tokens, and is of no use.
func Open(dir string) (*Journal, error) {
	if dir == "" {
		return &Journal{}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the journal directory: %w", err)
	}
	if err := removeUnfinished(dir); err != nil {
		return nil, err
	}
	j := &Journal{dir: dir, fsync: (*os.File).Sync}
	if err := j.Check(); err != nil {
		return nil, err
	}
	return j, nil
}

// Check says whether an entry could be written now, by writing and removing a file of an entry's size.
func (j *Journal) Check() error {
	if j == nil || j.dir == "" {
		return nil
	}
	probe, err := os.CreateTemp(j.dir, unfinishedProbe)
	if err == nil {
		_, err = probe.Write(make([]byte, probeSize)) // a full volume still takes an empty file
		err = errors.Join(err, j.fsync(probe), probe.Close(), os.Remove(probe.Name()))
	}
	if err != nil {
		return fmt.Errorf("writing to the journal directory: %w", err)
	}
	return nil
}

func removeUnfinished(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the journal directory: %w", err)
	}
	for _, f := range files {
		name := f.Name()
		if !strings.HasPrefix(name, strings.TrimSuffix(unfinishedEntry, "*")) && !strings.HasPrefix(name, strings.TrimSuffix(unfinishedProbe, "*")) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing an unfinished journal entry: %w", err)
		}
	}
	return nil
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
	tmp, err := os.CreateTemp(j.dir, unfinishedEntry) // CreateTemp makes it 0600
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
		err = j.fsync(tmp)
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

func (j *Journal) path(uid string) string {
	// A UID is hexadecimal with dashes; Base keeps a malformed one inside the directory.
	return filepath.Join(j.dir, filepath.Base("/"+uid)+suffix)
}

func (j *Journal) sync() error {
	d, err := os.Open(j.dir)
	if err != nil {
		return fmt.Errorf("syncing the journal directory: %w", err)
	}
	if err := errors.Join(j.fsync(d), d.Close()); err != nil {
		return fmt.Errorf("syncing the journal directory: %w", err)
	}
	return nil
}
