package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Entries reads all entries, of an earlier process too. A file that should be an entry and is none is set aside under another name, where no
// later write or removal of its channel reaches it, and reported beside the others: a person may still find tokens in it.
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
		e, err := j.read(f.Name())
		if err != nil {
			errs = append(errs, j.setAside(f.Name(), err))
			continue
		}
		entries = append(entries, e)
	}
	return entries, errors.Join(errs...)
}

func (j *Journal) read(name string) (Entry, error) {
	text, err := os.ReadFile(filepath.Join(j.dir, name))
	if err != nil {
		return Entry{}, err
	}
	e, err := decode(text)
	if err != nil {
		// The text may hold tokens, and what the decoder says may quote them.
		return Entry{}, errors.New("it cannot be decoded")
	}
	if name != filepath.Base(j.path(e.UID)) {
		// Remove would not find it, so it would be replayed at every start.
		return Entry{}, errors.New("it is of another channel than its name says")
	}
	return e, nil
}

// setAside renames a file and returns what to report of it.
func (j *Journal) setAside(name string, why error) error {
	aside := name + damaged
	for n := 2; ; n++ {
		if _, err := os.Lstat(filepath.Join(j.dir, aside)); err != nil {
			break // nothing of that name is overwritten
		}
		aside = fmt.Sprintf("%s%s-%d", name, damaged, n)
	}
	if err := os.Rename(filepath.Join(j.dir, name), filepath.Join(j.dir, aside)); err != nil {
		return fmt.Errorf("journal entry %s: %w, and it cannot be set aside: %w", name, why, err)
	}
	return fmt.Errorf("journal entry %s: %w; it is kept as %s", name, why, aside)
}
