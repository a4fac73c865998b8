package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The reference program: what anybody would write first, and nothing more. No Kubernetes, no duplicates, no limits, no retries. It is this
// program started again, so that it has a process and a garbage collector of its own, as the webhook binary has.
const (
	bareCommand = "reference"
	bareStream  = "EVENTS"
	bareSubject = "events"
)

type bare struct {
	secret []byte
	js     jetstream.JetStream
	sink   string
}

func runBare(args []string) error {
	fs := flag.NewFlagSet(bareCommand, flag.ContinueOnError)
	listen, dir := fs.String("listen", "", "address"), fs.String("dir", "", "directory")
	secret, fsync := fs.String("secret", "", "the app's secret"), fs.Duration("fsync", 0, "interval; 0 means always")
	sink := fs.String("sink", "", "where /deliver delivers to")
	if err := fs.Parse(args); err != nil {
		return err
	}
	nc, stop, err := bareNATS(*dir, *fsync)
	if err != nil {
		return err
	}
	defer stop()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: bareStream, Subjects: []string{bareSubject}}); err != nil {
		return err
	}
	b := &bare{secret: []byte(*secret), js: js, sink: *sink}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webhooks/", b.accept)
	mux.HandleFunc("POST /fill", b.fill)
	mux.HandleFunc("POST /deliver", b.deliver)
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	web := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = web.Close()
	}()
	if err := web.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// bareNATS is an embedded NATS server with a file store, and a connection to it inside this process.
func bareNATS(dir string, fsync time.Duration) (*nats.Conn, func(), error) {
	ns, err := server.NewServer(&server.Options{
		DontListen: true, NoSigs: true, JetStream: true, StoreDir: dir, SyncAlways: fsync == 0, SyncInterval: fsync,
	})
	if err != nil {
		return nil, nil, err
	}
	ns.Start()
	if !ns.ReadyForConnections(10 * time.Second) {
		return nil, nil, fmt.Errorf("the NATS server does not start")
	}
	nc, err := nats.Connect("", nats.InProcessServer(ns))
	if err != nil {
		return nil, nil, err
	}
	return nc, func() {
		nc.Close()
		ns.Shutdown()
		ns.WaitForShutdown()
	}, nil
}

// accept verifies a webhook's signature and stores it.
func (b *bare) accept(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	at, signature, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Tiktok-Signature"), "t="), ",s=")
	given, _ := hex.DecodeString(signature)
	mac := hmac.New(sha256.New, b.secret)
	mac.Write([]byte(at + "."))
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), given) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if _, err := b.js.Publish(r.Context(), bareSubject, body); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// fill stores messages to be delivered.
func (b *bare) fill(w http.ResponseWriter, r *http.Request) {
	from, _ := strconv.Atoi(r.FormValue("from"))
	events, _ := strconv.Atoi(r.FormValue("events"))
	for n := from; n < from+events; n++ {
		if _, err := b.js.Publish(r.Context(), bareSubject, message(n)); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
	}
}

// deliver is the plain loop: the next one, a POST, done.
func (b *bare) deliver(w http.ResponseWriter, r *http.Request) {
	if err := b.deliverEvents(r); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

func (b *bare) deliverEvents(r *http.Request) error {
	events, _ := strconv.Atoi(r.FormValue("events"))
	consumer, err := b.js.CreateOrUpdateConsumer(r.Context(), bareStream, jetstream.ConsumerConfig{
		Durable: "sink", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for range events {
		m, err := messages.Next()
		if err != nil {
			return err
		}
		resp, err := http.Post(b.sink, "application/json", bytes.NewReader(m.Data())) //nolint:noctx // the process ends with its caller
		if err != nil {
			return err
		}
		_ = resp.Body.Close() // it is empty
		if err := m.Ack(); err != nil {
			return err
		}
	}
	return nil
}
