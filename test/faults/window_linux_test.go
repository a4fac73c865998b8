package faults

import (
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// How long TikTok's answer is in the memory of the process alone: from before its bytes are sent to after the journal's rename was seen from
// outside, so more than the truth. Nothing is demanded of the figure, which depends on the machine; docs/explanation/token-life.md quotes it.
// Not parallel, so that it is measured on a machine that does nothing else.
func TestWindowBetweenAnswerAndJournal(t *testing.T) {
	for _, volume := range []struct {
		name, parent string
		refreshes    int
	}{{"memory", "/dev/shm", 200}, {"disk", t.TempDir(), 50}} {
		t.Run(volume.name, func(t *testing.T) {
			dir, err := os.MkdirTemp(volume.parent, "tiktok-operator-journal-")
			if err != nil {
				t.Skip("there is no such volume:", err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			measureWindow(t, dir, volume.refreshes)
		})
	}
}

func measureWindow(t *testing.T, dir string, n int) {
	s := newStage(t)
	answers := &timedListener{Listener: s.server.Listener}
	s.server.Listener = answers
	s.open()
	renames := watchRenames(t, dir)
	s.manager("--journal-dir=" + dir)
	ch := s.channel(1, later())
	s.is(ch, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	var sent []time.Time
	processed := func() { answers.next(func(at time.Time) { sent = append(sent, at) }) }
	s.answering.Store(&processed)
	for i := range n {
		s.request(ch, strconv.Itoa(i))
		s.handled(ch, strconv.Itoa(i))
	}
	s.answering.Store(nil)
	s.whole(n, 0, ch)
	// Each refresh renames twice: the note that it begins, and the answer.
	seen := renames(2 * n)
	windows := make([]time.Duration, n)
	for i := range windows {
		windows[i] = seen[2*i+1].Sub(sent[i])
	}
	slices.Sort(windows)
	if windows[0] <= 0 {
		t.Fatal("an answer was journalled before it was sent: the measurement is wrong")
	}
	t.Logf("%d refreshes: median %s, p99 %s, longest %s", n, windows[n/2], windows[n*99/100], windows[n-1])
}

// timedListener tells when the next answer is sent.
type timedListener struct {
	net.Listener

	mu   sync.Mutex
	tell func(time.Time)
}

func (l *timedListener) next(tell func(time.Time)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tell = tell
}

func (l *timedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return timedConn{c, l}, err
}

type timedConn struct {
	net.Conn
	listener *timedListener
}

func (c timedConn) Write(b []byte) (int, error) {
	c.listener.mu.Lock()
	if c.listener.tell != nil {
		c.listener.tell(time.Now())
		c.listener.tell = nil
	}
	c.listener.mu.Unlock()
	return c.Conn.Write(b)
}

// watchRenames notes when journal entries get their names. What comes back waits for the first n.
func watchRenames(t *testing.T, dir string) func(n int) []time.Time {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	// Two equal events in a row are made one; the creation of the temporary file keeps two renames apart.
	watch, err := syscall.InotifyAddWatch(fd, dir, syscall.IN_MOVED_TO|syscall.IN_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan time.Time, 10_000)
	go func() {
		defer syscall.Close(fd)
		buffer := make([]byte, 64<<10)
		for {
			n, err := syscall.Read(fd, buffer)
			now := time.Now()
			if err != nil || n == 0 {
				return
			}
			for at := 0; at < n; {
				event := (*syscall.InotifyEvent)(unsafe.Pointer(&buffer[at]))
				if event.Mask&syscall.IN_IGNORED != 0 {
					return // the watch was removed
				}
				if event.Mask&syscall.IN_MOVED_TO != 0 {
					seen <- now
				}
				at += syscall.SizeofInotifyEvent + int(event.Len)
			}
		}
	}()
	t.Cleanup(func() { _, _ = syscall.InotifyRmWatch(fd, uint32(watch)) })
	return func(n int) []time.Time {
		times := make([]time.Time, n)
		for i := range times {
			select {
			case times[i] = <-seen:
			case <-time.After(patience):
				t.Fatalf("saw %d renames, want %d", i, n)
			}
		}
		return times
	}
}
