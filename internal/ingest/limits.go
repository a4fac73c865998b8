package ingest

import (
	"io"
	"log"
	"net/http"
	"time"
)

// Limits of the public listener. They bound what a stranger can make this process hold.
const (
	// MaxBody is the largest webhook, in bytes.
	MaxBody = 1 << 20
	// MaxHeaderBytes bounds the request line and the headers.
	MaxHeaderBytes = 16 << 10
	// ReadHeaderTimeout bounds the time until the headers are there.
	ReadHeaderTimeout = 5 * time.Second
	// ReadTimeout bounds the time until the whole request is there.
	ReadTimeout = 15 * time.Second
	// WriteTimeout bounds the time from the end of the headers to the end of the answer. An OAuth callback calls TikTok meanwhile.
	WriteTimeout = 60 * time.Second
	// IdleTimeout bounds the wait for the next request of a connection.
	IdleTimeout = 60 * time.Second

	// MaxConnections bounds the connections at once. Further ones wait until one of these has ended.
	MaxConnections = 4096
	// MaxBodies bounds what all requests together may hold of bodies larger than smallBody, in bytes. Nobody has proven anything before a body is
	// read.
	MaxBodies = 64 << 20

	// smallBody is the size of a body that every connection may have, in bytes. Nearly all webhooks are smaller by far.
	smallBody = 32 << 10

	// lookupTimeout bounds a look for an app that is not known here.
	lookupTimeout = 2 * time.Second
	// storeTimeout bounds one write to the event log. TikTok tries again later.
	storeTimeout = 5 * time.Second
	// retryAfter is what a sender is told when the log cannot store.
	retryAfter = 30 * time.Second
	// credentialsTimeout bounds the reading of an app's secret that was read before: TikTok waits for its answer, and the old one will do.
	credentialsTimeout = 500 * time.Millisecond
	// firstCredentialsTimeout bounds the reading of one of which nothing is known.
	firstCredentialsTimeout = 5 * time.Second
	// rereadInterval is how often at most an app's secret is read again because a signature did not match it.
	rereadInterval = time.Second
)

// NewServer makes the server of the public listener, with all its limits. errorLog receives what net/http reports; nil means nowhere, not
// standard error.
func NewServer(handler http.Handler, errorLog *log.Logger) *http.Server {
	if errorLog == nil {
		errorLog = log.New(io.Discard, "", 0)
	}
	return &http.Server{
		Handler: handler, MaxHeaderBytes: MaxHeaderBytes, ReadHeaderTimeout: ReadHeaderTimeout, ReadTimeout: ReadTimeout,
		WriteTimeout: WriteTimeout, IdleTimeout: IdleTimeout, ErrorLog: errorLog,
	}
}
