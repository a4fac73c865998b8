package simulator

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"
)

// insteadOfAnswer says that the fault answers, and the call is not processed.
func (f Fault) insteadOfAnswer() bool { return f.Code != 0 || f.Status != 0 }

// replacement is the answer that a fault gives instead of TikTok's.
func (f Fault) replacement(requestID string) answer {
	status := cmp.Or(f.Status, http.StatusOK)
	var a answer
	if f.Code != 0 {
		a = envelope(requestID, nil, &failure{f.Code, cmp.Or(f.Message, "Injected fault.")})
	} else {
		a = answer{
			contentType: "text/html; charset=utf-8",
			body:        fmt.Sprintf("<html><body><h1>%d %s</h1></body></html>\n", status, http.StatusText(status)),
		}
	}
	a.status = status
	f.spoil(&a)
	return a
}

func (f Fault) spoil(a *answer) {
	switch f.Garbage {
	case "html":
		a.contentType, a.body = "text/html; charset=utf-8", "<html><body>Please wait…</body></html>\n"
	case "truncated":
		a.body = a.body[:len(a.body)/2]
	case "empty":
		a.body = ""
	case "json":
		a.contentType, a.body = "application/json", `{"status":"ok"}`
	}
}

// disturb is what a fault does to the answer of a processed call. It does not return where there is to be no answer.
func (s *Simulator) disturb(ctx context.Context, f Fault, a *answer) {
	if f.HangAfterProcessing {
		s.delay(ctx, hangFor)
	}
	if f.HangAfterProcessing || f.CloseAfterProcessing {
		panic(http.ErrAbortHandler) // net/http's way to cut the connection
	}
	f.spoil(a)
}

// delay waits; false if the client left or the Simulator was closed meanwhile.
func (s *Simulator) delay(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := s.opts.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	case <-s.life.ctx.Done():
		return false
	}
}
