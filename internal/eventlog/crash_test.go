package eventlog_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

const childVariable = "EVENTLOG_TEST_CHILD_DIR"

// TestMain becomes the process that is killed, if asked to: it appends from four goroutines and prints the id of each acknowledged event.
func TestMain(m *testing.M) {
	dir := os.Getenv(childVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	l, err := eventlog.Open(context.Background(), eventlog.Options{DataDir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lines := make(chan string)
	for g := range 4 {
		go func() {
			for i := 0; ; i++ {
				r := record(fmt.Sprintf("%d-%d-%d", os.Getpid(), g, i))
				r.Conversation = fmt.Sprint(g)
				if _, err := l.Append(context.Background(), r); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				lines <- r.ID
			}
		}()
	}
	for line := range lines {
		fmt.Println(line) // one write a line, not buffered
	}
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	var acknowledged []string
	for round := range 3 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childVariable+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		killAt := len(acknowledged) + 50 + 37*round
		for lines.Scan() {
			acknowledged = append(acknowledged, lines.Text())
			if len(acknowledged) == killAt {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		var exit *exec.ExitError
		if err := child.Wait(); !errors.As(err, &exit) || exit.Sys() == nil || !strings.Contains(exit.String(), "killed") {
			t.Fatalf("the child was not killed: %v", err)
		}
		if len(acknowledged) < killAt {
			t.Fatalf("the child acknowledged %d events, want %d", len(acknowledged), killAt)
		}
	}
	l := open(t, eventlog.Options{DataDir: dir})
	stored := map[string]int{}
	previous := map[string]int{}
	for _, e := range all(t, l, uid) {
		stored[e.ID]++
		var pid, g, i int
		if _, err := fmt.Sscanf(e.ID, "%d-%d-%d", &pid, &g, &i); err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprint(pid, g)
		if p, ok := previous[key]; ok && p+1 != i {
			t.Errorf("event %s follows number %d", e.ID, p)
		}
		previous[key] = i
	}
	for _, id := range acknowledged {
		if stored[id] != 1 {
			t.Errorf("event %s was acknowledged and is there %d times", id, stored[id])
		}
	}
	if !appendRecord(t, l, record(acknowledged[0])).Duplicate {
		t.Error("an event from before the kill was taken for a new one")
	}
}

// filled makes a log with events and closes it.
func filled(t *testing.T) eventlog.Options {
	t.Helper()
	opts := eventlog.Options{DataDir: t.TempDir()}
	l := open(t, opts)
	for i := range 50 {
		appendRecord(t, l, record(fmt.Sprint(i)))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return opts
}

func find(t *testing.T, dir, stream, name string) string {
	t.Helper()
	var found string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if match, _ := filepath.Match(name, filepath.Base(path)); match && strings.Contains(path, stream) {
			found = path
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("no %s of %s in the store: %v", name, stream, err)
	}
	return found
}

func TestDamageIsReported(t *testing.T) {
	edit := func(stream, name string, change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := find(t, dir, stream, name)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, change(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(stream, name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.RemoveAll(find(t, dir, stream, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	flip := func(b []byte) []byte { b[len(b)/2] ^= 0xff; return b }
	half := func(b []byte) []byte { return b[:len(b)/2] }
	for name, damage := range map[string]func(*testing.T, string){
		"description of a stream flipped":   edit("TIKTOK_EVENTS", "meta.inf", flip),
		"description of a stream truncated": edit("TIKTOK_EVENTS", "meta.inf", half),
		"description of a stream removed":   remove("TIKTOK_EVENTS", "meta.inf"),
		"stream removed":                    remove("streams", "TIKTOK_EVENTS"),
		"unrouted removed":                  remove("streams", "TIKTOK_UNROUTED"),
		"positions removed":                 remove("streams", "TIKTOK_SINKS"),
		"whole store removed":               remove("", "jetstream"),
		"messages flipped":                  edit("TIKTOK_EVENTS", "*.blk", flip),
		"messages truncated":                edit("TIKTOK_EVENTS", "*.blk", half),
		"messages emptied":                  edit("TIKTOK_EVENTS", "*.blk", func([]byte) []byte { return nil }),
		"messages removed":                  remove("TIKTOK_EVENTS", "*.blk"),
		"messages and index truncated": func(t *testing.T, dir string) {
			edit("TIKTOK_EVENTS", "*.blk", half)(t, dir)
			remove("TIKTOK_EVENTS", "index.db")(t, dir)
		},
		"messages flipped without an index": func(t *testing.T, dir string) {
			edit("TIKTOK_EVENTS", "*.blk", flip)(t, dir)
			remove("TIKTOK_EVENTS", "index.db")(t, dir)
		},
		"manifest": edit("", "manifest.json", half),
	} {
		t.Run(name, func(t *testing.T) {
			opts := filled(t)
			damage(t, opts.DataDir)
			l, err := eventlog.Open(t.Context(), opts)
			if err == nil {
				t.Errorf("opened, with %d of 50 events", len(all(t, l, uid)))
				_ = l.Close()
			}
			var corrupt *eventlog.CorruptError
			if err != nil && !errors.As(err, &corrupt) {
				t.Errorf("got %v", err)
			}
			if err := os.WriteFile(filepath.Join(opts.DataDir, "accept-loss"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			l = open(t, opts)
			appendRecord(t, l, record("after"))
			l = reopen(t, l, opts) // the consent was for once, and nothing is left to report
			if events := ids(all(t, l, uid)); len(events) == 0 || events[len(events)-1] != "after" {
				t.Errorf("after the loss was accepted: %v", events)
			}
		})
	}
}

func TestCleanRestartIsNotDamage(t *testing.T) {
	opts := filled(t)
	start := time.Now()
	l := open(t, opts)
	if got := len(all(t, l, uid)); got != 50 {
		t.Fatalf("%d events after %s", got, time.Since(start))
	}
}
