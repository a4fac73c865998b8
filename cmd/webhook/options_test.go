package main

import (
	"errors"
	"flag"
	"io"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/process"
	"github.com/tiktok-operator/tiktok-operator/internal/process/processtest"
)

func parse(args ...string) (*options, *flag.FlagSet, error) {
	var o options
	fs := flag.NewFlagSet("webhook", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	o.bind(fs)
	_, err := o.Parse(fs, args)
	return &o, fs, err
}

// The defaults that charts and scripts rely on.
func TestDefaults(t *testing.T) {
	_, fs, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"kubeconfig": "", "public-bind-address": ":8080", "private-bind-address": ":8443", "private-tls-cert-file": "", "private-tls-key-file": "",
		"metrics-bind-address": ":9090", "health-probe-bind-address": ":8081", "data-dir": "", "nats-url": "", "nats-creds": "", "fsync": "always",
		"nats-ca-file": "", "nats-cert-file": "", "nats-key-file": "", "nats-replicas": "0", "event-log-max-age": "744h0m0s", "event-log-max-bytes": "0",
		"signature-tolerance": "72h0m0s", "allow-private-sinks": "false", "message-rules": "lenient", "watch-namespaces": "", "namespace": "",
	} {
		if f := fs.Lookup(name); f == nil || f.DefValue != want {
			t.Errorf("--%s: %+v, want the default %q", name, f, want)
		}
	}
}

func TestEveryFlagReadsItsVariable(t *testing.T) {
	processtest.Variables(t, map[string]string{
		"fsync": "1s", "message-rules": "strict", "event-log-max-bytes": "1Gi", "zap-encoder": "console", "zap-log-level": "debug", "zap-stacktrace-level": "panic", "zap-time-encoding": "iso8601",
	}, func(args ...string) (*flag.FlagSet, error) {
		_, fs, err := parse(args...)
		return fs, err
	})
}

func TestTheEventLogKeepsToTheMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(435 << 20)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	if got := (&options{}).eventLog(logr.Discard()).MemoryLimit; got != 435<<20 {
		t.Errorf("the event log is told a limit of %d bytes", got)
	}
}

// Whatever signature is accepted, its replay falls to deduplication; and the log keeps what it recognises.
func TestDuplicatesAreRecognisedForLongerThanSignaturesAreAccepted(t *testing.T) {
	for tolerance, want := range map[string]time.Duration{
		"1s": 73 * time.Hour, "72h": 73 * time.Hour, "72h1s": 73*time.Hour + time.Second, "100h": 101 * time.Hour, "743h": 744 * time.Hour,
	} {
		o, _, err := parse("--data-dir="+t.TempDir(), "--fsync=10m", "--signature-tolerance="+tolerance)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.validate(); err != nil {
			t.Errorf("%s: %v", tolerance, err)
			continue
		}
		opts := o.eventLog(logr.Discard())
		if opts.DedupWindow != want || opts.DataDir != o.dataDir || opts.Fsync != eventlog.Fsync(10*time.Minute) {
			t.Errorf("--signature-tolerance=%s: options of the event log %+v, want duplicates recognised for %s", tolerance, opts, want)
		}
		log, err := eventlog.Open(t.Context(), opts)
		if err != nil {
			t.Errorf("--signature-tolerance=%s: the event log refuses its options: %v", tolerance, err)
			continue
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, tolerance := range []string{"743h1s", "1000000h", "999ms", "0", "-1h"} {
		o, _, err := parse("--data-dir="+t.TempDir(), "--signature-tolerance="+tolerance)
		if err != nil {
			t.Fatal(err)
		}
		err = o.validate()
		if !errors.As(err, new(*process.InvalidError)) || !strings.Contains(err.Error(), "--signature-tolerance must be between 1s and 743h") {
			t.Errorf("--signature-tolerance=%s: error %v", tolerance, err)
		}
	}
}

// A limit of the event log is one that it can count, and has room for some webhooks of any size; 0 is none.
func TestLimitsOfTheEventLog(t *testing.T) {
	for limit, want := range map[string]int64{
		"0": 0, "64Mi": 64 << 20, "67108864": 64 << 20, "20Gi": 20 << 30, "7Ei": 7 << 60, "9E": 9e18,
		"1": -1, "20": -1, "67108863": -1, "500m": -1, "10E": -1, "9999999E": -1, "1e30": -1,
	} {
		o, _, err := parse("--data-dir="+t.TempDir(), "--event-log-max-bytes="+limit)
		if err != nil {
			t.Fatal(err)
		}
		switch err := o.validate(); {
		case (err != nil) != (want < 0):
			t.Errorf("--event-log-max-bytes=%s: %v", limit, err)
		case err == nil && o.eventLog(logr.Discard()).MaxBytes != want:
			t.Errorf("--event-log-max-bytes=%s: the event log may have %d bytes", limit, o.eventLog(logr.Discard()).MaxBytes)
		}
	}
}
