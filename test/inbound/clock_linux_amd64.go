package inbound

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// moveClock makes the wall clock of a child process differ from the machine's from now on. A Go program asks the kernel's vDSO, a page of code in
// its own memory, for the time; this writes other code to there, as a debugger does a breakpoint: it asks the kernel and adds so many seconds. The
// monotonic clock goes on as before, as it does where an administrator or NTP sets the clock.
func moveClock(ctx context.Context, pid int, by time.Duration) error {
	dir := fmt.Sprintf("/proc/%d", pid)
	memory, err := os.OpenFile(filepath.Join(dir, "mem"), os.O_RDWR, 0)
	if err != nil {
		return errors.Join(ErrNoClock, err)
	}
	defer memory.Close()
	at, err := clockFunction(dir, memory)
	if err != nil {
		return err
	}
	code := shiftedClock(by)
	// No thread may be in the midst of what is overwritten.
	return program.Wait(ctx, startLimit, "the process to be elsewhere than in its clock", func() (bool, error) {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return false, fmt.Errorf("stopping the process: %w", err)
		}
		defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
		elsewhere, err := stoppedElsewhere(ctx, dir, at, at+uint64(len(code)))
		if err != nil || !elsewhere {
			return false, err
		}
		if _, err := memory.WriteAt(code, int64(at)); err != nil {
			return false, errors.Join(ErrNoClock, err)
		}
		return true, nil
	})
}

// shiftedClock is clock_gettime(2) with the wall clock moved by whole seconds.
func shiftedClock(by time.Duration) []byte {
	code := []byte{
		0xb8, 0xe4, 0x00, 0x00, 0x00, // mov $228, %eax (clock_gettime)
		0x0f, 0x05, // syscall
		0x85, 0xff, // test %edi, %edi (CLOCK_REALTIME is 0)
		0x75, 0x07, // jnz over the addition
		0x48, 0x81, 0x06, // addq $seconds, (%rsi)
	}
	code = binary.LittleEndian.AppendUint32(code, uint32(int32(by/time.Second)))
	return append(code, 0xc3) // ret
}

// clockFunction is the address of the vDSO's clock_gettime in a process.
func clockFunction(dir string, memory *os.File) (uint64, error) {
	maps, err := os.ReadFile(filepath.Join(dir, "maps"))
	if err != nil {
		return 0, fmt.Errorf("reading the memory's layout: %w", err)
	}
	for line := range strings.SplitSeq(string(maps), "\n") {
		if !strings.HasSuffix(line, "[vdso]") {
			continue
		}
		var from, to uint64
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
			return 0, fmt.Errorf("reading the memory's layout: %w", err)
		}
		image := make([]byte, to-from)
		if _, err := memory.ReadAt(image, int64(from)); err != nil {
			return 0, errors.Join(ErrNoClock, err)
		}
		file, err := elf.NewFile(bytes.NewReader(image))
		if err != nil {
			return 0, fmt.Errorf("reading the vDSO: %w", err)
		}
		symbols, err := file.DynamicSymbols()
		if err != nil {
			return 0, fmt.Errorf("reading the vDSO: %w", err)
		}
		for _, symbol := range symbols {
			if symbol.Name == "__vdso_clock_gettime" {
				return from + symbol.Value, nil
			}
		}
	}
	return 0, ErrNoClock
}

// stoppedElsewhere waits until all threads have stopped, and says whether none is at an address from one to another.
func stoppedElsewhere(ctx context.Context, dir string, from, to uint64) (elsewhere bool, err error) {
	err = program.Wait(ctx, startLimit, "the process to stop", func() (bool, error) {
		threads, err := filepath.Glob(filepath.Join(dir, "task", "*"))
		if err != nil || len(threads) == 0 {
			return false, fmt.Errorf("the process has ended (%w)", err)
		}
		elsewhere = true
		for _, thread := range threads {
			stat, err := os.ReadFile(filepath.Join(thread, "stat"))
			if err != nil {
				return false, nil //nolint:nilerr // the thread has ended
			}
			_, after, _ := strings.Cut(string(stat), ") ")
			if !strings.HasPrefix(after, "T") {
				return false, nil
			}
			where, err := os.ReadFile(filepath.Join(thread, "syscall"))
			if err != nil {
				return false, errors.Join(ErrNoClock, err)
			}
			var counter uint64
			fields := strings.Fields(string(where))
			if _, err := fmt.Sscanf(fields[len(fields)-1], "0x%x", &counter); err != nil {
				return false, nil //nolint:nilerr // it was running
			}
			elsewhere = elsewhere && (counter < from || counter >= to)
		}
		return true, nil
	})
	return elsewhere, err
}
