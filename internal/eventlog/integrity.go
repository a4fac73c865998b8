package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	manifestName   = "manifest.json"
	acceptLossName = "accept-loss"
	manifestFormat = 1
	indexName      = "index.db"
)

// manifest says what the store held when it was last opened or closed. The server skips a stream that it cannot read, and cuts a block off
// where it is damaged, with no more than a warning: the manifest tells that from a fresh start.
type manifest struct {
	Format  int                      `json:"format"`
	Streams map[string]streamSummary `json:"streams"`
}

type streamSummary struct {
	// Last is the sequence of the newest message. It only grows.
	Last uint64 `json:"last"`
	// Missing counts the gaps between the oldest and the newest message. In the stream of events, nothing makes gaps but damage.
	Missing uint64 `json:"missing,omitempty"`
}

// removeIndexes makes the server read, and check the checksum of, every stored message when it starts: a few seconds a gigabyte. With its
// index it would trust the blocks unseen, and run wild when it met a damaged message later.
func (e *embedded) removeIndexes() error {
	files, err := filepath.Glob(filepath.Join(e.dir, storeName, "jetstream", "*", "streams", "*", "msgs", indexName))
	if err != nil {
		return fmt.Errorf("looking for the event log's indexes: %w", err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing an index of the event log: %w", err)
		}
	}
	return nil
}

// checkIntegrity compares what the server recovered with what should be there. Loss is accepted once if the user asked for that.
func (e *embedded) checkIntegrity(ctx context.Context, conn *nats.Conn) error {
	err := e.findLoss(ctx, conn)
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) {
		return err
	}
	accept := filepath.Join(e.dir, acceptLossName)
	if _, statErr := os.Stat(accept); statErr != nil {
		return err
	}
	e.log.Errorf("going on with a damaged event log, as the file %s asks: %s", acceptLossName, corrupt.Problem)
	e.accepted = accept
	return e.moveUnreadable(ctx, conn)
}

// moveUnreadable takes the streams that the server skipped out of its way, without deleting them.
func (e *embedded) moveUnreadable(ctx context.Context, conn *nats.Conn) error {
	for _, name := range allStreams() {
		if s, err := summarize(ctx, conn, name); s != nil || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		dirs, err := filepath.Glob(filepath.Join(e.dir, storeName, "jetstream", "*", "streams", name))
		if err != nil {
			return fmt.Errorf("looking for the damaged stream %s: %w", name, err)
		}
		for _, dir := range dirs {
			aside, err := os.MkdirTemp(e.dir, "damaged-"+name+"-")
			if err == nil {
				err = os.Rename(dir, filepath.Join(aside, name))
			}
			if err != nil {
				return fmt.Errorf("moving the damaged stream %s aside: %w", name, err)
			}
		}
	}
	return nil
}

// lossAccepted ends the user's consent to loss, once the log is open.
func (e *embedded) lossAccepted() error {
	if e.accepted == "" {
		return nil
	}
	if err := os.Remove(e.accepted); err != nil {
		return fmt.Errorf("removing %s: %w", acceptLossName, err)
	}
	return nil
}

func (e *embedded) findLoss(ctx context.Context, conn *nats.Conn) error {
	expected, err := e.readManifest()
	if err != nil {
		return err
	}
	for name, before := range expected {
		now, err := summarize(ctx, conn, name)
		if err != nil {
			return err
		}
		problem := ""
		switch {
		case now == nil:
			problem = fmt.Sprintf("the stream %s cannot be read: %s", name, e.log.lastProblem())
		case name == sinksStream || !e.durable:
			// Written without fsync: the newest may be gone after a power cut.
		case now.Last < before.Last:
			problem = fmt.Sprintf("the newest %d messages of the stream %s cannot be read", before.Last-now.Last, name)
		case name == eventsStream && now.Missing > before.Missing:
			problem = fmt.Sprintf("%d messages in the midst of the stream %s cannot be read", now.Missing-before.Missing, name)
		}
		if problem != "" {
			return &CorruptError{DataDir: e.dir, Problem: problem}
		}
	}
	return nil
}

// summarize asks for a stream's state; nil if there is no such stream.
func summarize(ctx context.Context, conn *nats.Conn, name string) (*streamSummary, error) {
	reply, err := conn.RequestWithContext(ctx, "$JS.API.STREAM.INFO."+name, nil)
	if err != nil {
		return nil, fmt.Errorf("looking at the stream %s: %w", name, err)
	}
	var info struct {
		Error *jetstream.APIError   `json:"error"`
		State jetstream.StreamState `json:"state"`
	}
	if err := json.Unmarshal(reply.Data, &info); err != nil {
		return nil, fmt.Errorf("looking at the stream %s: decoding the server's answer: %w", name, err)
	}
	if info.Error != nil {
		if info.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound {
			return nil, nil
		}
		return nil, fmt.Errorf("looking at the stream %s: %w", name, info.Error)
	}
	s := &streamSummary{Last: info.State.LastSeq}
	if span := info.State.LastSeq + 1 - info.State.FirstSeq; info.State.Msgs > 0 && span > info.State.Msgs {
		s.Missing = span - info.State.Msgs
	}
	return s, nil
}

func (e *embedded) readManifest() (map[string]streamSummary, error) {
	text, err := os.ReadFile(filepath.Join(e.dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // never opened to the end, so nothing was ever acknowledged
	}
	if err != nil {
		return nil, fmt.Errorf("reading the event log's manifest: %w", err)
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, &CorruptError{DataDir: e.dir, Problem: manifestName + " cannot be read"}
	}
	if m.Format > manifestFormat {
		return nil, fmt.Errorf("the event log in %s was written by a newer version of this program (format %d, this one knows %d)",
			e.dir, m.Format, manifestFormat)
	}
	return m.Streams, nil
}

// writeManifest replaces the manifest, whole or not at all.
func (e *embedded) writeManifest(ctx context.Context, conn *nats.Conn) error {
	m := manifest{Format: manifestFormat, Streams: map[string]streamSummary{}}
	for _, name := range allStreams() {
		s, err := summarize(ctx, conn, name)
		if err != nil {
			return err
		}
		if s == nil {
			return fmt.Errorf("writing the event log's manifest: the stream %s has gone", name)
		}
		m.Streams[name] = *s
	}
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding the event log's manifest: %w", err)
	}
	f, err := os.CreateTemp(e.dir, ".manifest-*") // 0600
	if err != nil {
		return fmt.Errorf("writing the event log's manifest: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(e.dir, manifestName))
	}
	if err != nil {
		return fmt.Errorf("writing the event log's manifest: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
