package inbound

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// ErrNoSmallDisk says that this machine lets no user mount a file system of his own.
var ErrNoSmallDisk = errors.New("this machine lets nobody mount a small file system: it takes Linux, unshare(1), nsenter(1) and user namespaces")

const (
	smallDiskMiB = 48
	mountedName  = "mounted"
)

// smallDisk is a file system of a few megabytes, mounted at dir in a namespace that a sleeping process keeps. Others reach it through that
// process's root in /proc.
type smallDisk struct {
	dir    string
	keeper *program.Process
}

func mountSmallDisk(dir, log string) (*smallDisk, error) {
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		return nil, ErrNoSmallDisk
	}
	keeper, err := program.Start(unshare, log, "-rm", "sh", "-c",
		`mount -t tmpfs -o size="$1"m tmpfs "$0" && touch "$0/$2" && exec sleep 3600`, dir, strconv.Itoa(smallDiskMiB), mountedName)
	if err != nil {
		return nil, err
	}
	d := &smallDisk{dir: dir, keeper: keeper}
	for {
		if _, err := os.Stat(d.path(mountedName)); err == nil {
			return d, nil
		}
		select {
		case <-keeper.Done():
			return nil, ErrNoSmallDisk
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// on turns a command into one that sees the disk.
func (d *smallDisk) on(command []string) ([]string, error) {
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return nil, ErrNoSmallDisk
	}
	return append([]string{nsenter, "-t", strconv.Itoa(d.keeper.PID()), "-U", "-m", "--preserve-credentials", "--"}, command...), nil
}

func (d *smallDisk) path(name string) string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", d.keeper.PID()), d.dir, name)
}

// fill leaves no room but so many bytes. Repeated, it takes what has become free meanwhile.
func (d *smallDisk) fill(leave int64) error {
	f, err := os.OpenFile(d.path("ballast"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
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
	if err := os.Remove(d.path("ballast")); err != nil {
		return fmt.Errorf("making room on the disk: %w", err)
	}
	return nil
}
