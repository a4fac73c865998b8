//go:build !linux && !darwin

package eventlog

import (
	"errors"
	"os"
)

var errUnsupported = errors.New("the embedded event log runs on Linux and macOS: use an external NATS server here")

func lockDir(string) (*os.File, error) { return nil, errUnsupported }

func diskSpace(string) (free, total uint64, err error) { return 0, 0, errUnsupported }
