package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// ServeStarting answers probes at an address in the manager's stead, while something is opened that takes its time: /healthz with 200, since a
// restart would only have it begin anew, and everything else with 503. stop ends it and frees the address, for the manager. At the addresses "" and
// "0" nothing is served.
func ServeStarting(ctx context.Context, address string) (stop func(), err error) {
	if (Address{Value: address, Optional: true}).off() {
		return func() {}, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("answering probes: %w", err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10, Handler: http.HandlerFunc(answerStarting)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // until it is closed
	}()
	return func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if errors.Is(server.Shutdown(grace), context.DeadlineExceeded) {
			_ = server.Close()
		}
		<-ended
	}, nil
}

func answerStarting(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	if r.URL.Path == "/healthz" {
		return
	}
	http.Error(w, "the process is starting", http.StatusServiceUnavailable)
}
