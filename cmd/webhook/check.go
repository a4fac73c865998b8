package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/process"
)

// Limits of check: a Service needs some seconds to learn of a pod that has become ready.
const (
	checkFor   = 30 * time.Second
	checkEvery = time.Second
)

// check asks for each URL until something that is not an error of the server's answers; helm test runs it. No certificate is verified: what
// is behind the address is asked to answer, and is told nothing.
func check(ctx context.Context, urls []string) error {
	if len(urls) == 0 {
		return process.Invalid("check needs the URLs to ask for")
	}
	ctx, cancel := context.WithTimeout(ctx, checkFor)
	defer cancel()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // see above
	defer transport.CloseIdleConnections()
	c := &http.Client{
		Transport: transport, Timeout: 5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, url := range urls {
		for {
			err := answers(ctx, c, url)
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return err
			case <-time.After(checkEvery):
			}
		}
	}
	return nil
}

func answers(ctx context.Context, c *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return process.Invalid("%s: %w", url, err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("nothing answers: %w", err)
	}
	if err := resp.Body.Close(); err != nil {
		return fmt.Errorf("ending the answer of %s: %w", url, err)
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}
