// Command reach says whether a URL answers within a few seconds, by its exit code alone. Scripts ask it before they start something that
// needs the network, so that a machine without one loses seconds and not minutes. It is a Go program because Go is all that a machine
// is sure to have, and because it goes through the same proxies as the tools that it answers for.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func main() {
	timeout := flag.Duration("timeout", 4*time.Second, "how long the answer may take")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: reach [-timeout 4s] URL")
		os.Exit(2)
	}
	if err := reach(flag.Arg(0), *timeout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// reach fails unless a GET of url is answered with a success and the first byte of a body in time.
func reach(url string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
		return fmt.Errorf("%s answered without a body: %w", url, err)
	}
	return nil
}
