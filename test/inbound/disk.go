package inbound

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// ErrNoSmallDisk says that this machine lets no user mount a file system of his own.
var ErrNoSmallDisk = errors.New("this machine lets nobody mount a small file system: it takes Linux, unshare(1) and user namespaces")

const smallDiskMiB = 48

// smallDisk is a file system of a few megabytes that only one process sees: it is mounted in a namespace of that process. Others reach it
// through the process's root in /proc.
type smallDisk struct {
	dir string
	pid func() int
}

// onSmallDisk turns a command into one that runs on a small disk at dir.
func onSmallDisk(dir string, command []string) ([]string, error) {
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		return nil, ErrNoSmallDisk
	}
	mounting := []string{unshare, "-rm", "sh", "-c", `mount -t tmpfs -o size="$1"m tmpfs "$0" && shift && exec "$@"`, dir, strconv.Itoa(smallDiskMiB)}
	if err := exec.Command(mounting[0], append(mounting[1:], "true")...).Run(); err != nil { //nolint:gosec,noctx // our own, and short
		return nil, ErrNoSmallDisk
	}
	return append(mounting, command...), nil
}

func (d *smallDisk) ballast() string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", d.pid()), d.dir, "ballast")
}

// fill leaves no room but so many bytes.
func (d *smallDisk) fill(leave int64) error {
	f, err := os.Create(d.ballast())
	if err != nil {
		return fmt.Errorf("filling the disk: %w", err)
	}
	defer f.Close()
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("measuring the disk: %w", err)
	}
	for left := int64(st.Bavail)*int64(st.Bsize) - leave; left > 0; left -= 1 << 20 { //nolint:unconvert // types differ by platform
		if _, err := f.Write(make([]byte, min(left, 1<<20))); errors.Is(err, syscall.ENOSPC) {
			return nil // somebody else was faster
		} else if err != nil {
			return fmt.Errorf("filling the disk: %w", err)
		}
	}
	return nil
}

// free makes room again.
func (d *smallDisk) free() error {
	if err := os.Remove(d.ballast()); err != nil {
		return fmt.Errorf("making room on the disk: %w", err)
	}
	return nil
}
