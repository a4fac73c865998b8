//go:build !(linux && amd64)

package inbound

import (
	"context"
	"time"
)

func moveClock(context.Context, int, time.Duration) error { return ErrNoClock }
