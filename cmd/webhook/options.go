package main

import (
	"flag"
	"math"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/process"
	"github.com/tiktok-operator/tiktok-operator/internal/tracing"
)

type options struct {
	process.Flags
	publicAddress, privateAddress string
	certFile, keyFile             string
	dataDir, natsURL, natsCreds   string
	natsCA, natsCert, natsKey     string
	replicas                      int
	maxAge                        time.Duration
	maxBytes                      resource.QuantityValue
	fsync                         eventlog.Fsync
	tolerance                     time.Duration
	allowPrivateSinks             bool
	messageRules                  messaging.Policy
	otlpEndpoint                  string
	traceSampleRatio              float64
}

func (o *options) bind(fs *flag.FlagSet) {
	o.Bind(fs, ":9090")
	fs.StringVar(&o.publicAddress, "public-bind-address", ":8080", "address for TikTok and people's browsers, behind your ingress")
	fs.StringVar(&o.privateAddress, "private-bind-address", ":8443", "address of the API for programs, with TLS; 0 turns it off")
	fs.StringVar(&o.certFile, "private-tls-cert-file", "", "certificate of the private address; default: self-signed")
	fs.StringVar(&o.keyFile, "private-tls-key-file", "", "key of --private-tls-cert-file")
	fs.StringVar(&o.dataDir, "data-dir", "", "directory of the embedded event log; set this or --nats-url")
	fs.StringVar(&o.natsURL, "nats-url", "", "external NATS with JetStream, instead of --data-dir")
	fs.StringVar(&o.natsCreds, "nats-creds", "", "credentials file for --nats-url")
	fs.StringVar(&o.natsCA, "nats-ca-file", "", "certificates of the authorities that --nats-url is trusted by; default: the system's")
	fs.StringVar(&o.natsCert, "nats-cert-file", "", "client certificate for --nats-url")
	fs.StringVar(&o.natsKey, "nats-key-file", "", "key of --nats-cert-file")
	fs.IntVar(&o.replicas, "nats-replicas", 0, "servers of the cluster of --nats-url that keep each event: 1, 3 or 5; "+
		"0: 3 of a cluster, 1 without one, and not fewer than do already")
	fs.DurationVar(&o.maxAge, "event-log-max-age", eventlog.DefaultMaxAge, "how long events are kept, delivered or not")
	fs.Var(&o.maxBytes, "event-log-max-bytes", "most that the stored events may take, such as 20Gi, and 64Mi at least; beyond it webhooks are "+
		"answered 503. 0: what the disk, or the NATS server, allows")
	fs.Var(&o.fsync, "fsync", "when the embedded event log is synced to disk: always, or an interval such as 1s (a power cut then loses that much)")
	fs.DurationVar(&o.tolerance, "signature-tolerance", ingest.DefaultTolerance().Past, "how old a webhook's signature may be; TikTok retries for 72h")
	fs.BoolVar(&o.allowPrivateSinks, "allow-private-sinks", false,
		"let sinks with a uri be loopback and private addresses, and Services lead to any address")
	o.messageRules = messaging.Lenient
	fs.Var(&o.messageRules, "message-rules", "what to do where it is doubtful whether TikTok takes a message: lenient (ask TikTok) "+
		"or strict (refuse it)")
	fs.StringVar(&o.otlpEndpoint, "otlp-endpoint", "", "URL of the OpenTelemetry collector that takes traces by OTLP over HTTP, such as "+
		"http://otel-collector:4318; default: no traces are sent")
	fs.Float64Var(&o.traceSampleRatio, "trace-sample-ratio", 1, "share of traces that is recorded, from 0 to 1, where the sender of a request did "+
		"not decide it")
}

// leastBytes and mostBytes bound a limit of the event log: with less a few large webhooks fill it, and more cannot be counted and would be none.
var (
	leastBytes = resource.MustParse("64Mi")
	mostBytes  = *resource.NewQuantity(math.MaxInt64, resource.BinarySI)
)

// dedupMargin is how much longer duplicates are recognised than a signature is accepted, for clocks that differ and for writes that wait.
const dedupMargin = time.Hour

// validate refuses what cannot work, with *process.InvalidError.
func (o *options) validate() error {
	switch {
	case o.dataDir == "" && o.natsURL == "":
		return process.Invalid("set one of --data-dir (embedded event log) and --nats-url (external NATS)")
	case o.dataDir != "" && o.natsURL != "":
		return process.Invalid("set --data-dir (embedded event log) or --nats-url (external NATS), not both")
	case (o.certFile == "") != (o.keyFile == ""):
		return process.Invalid("--private-tls-cert-file and --private-tls-key-file go together: set both, or neither for a self-signed certificate")
	case o.natsCreds != "" && o.natsURL == "":
		return process.Invalid("--nats-creds goes with --nats-url")
	case (o.natsCA != "" || o.natsCert != "" || o.natsKey != "") && o.natsURL == "":
		return process.Invalid("--nats-ca-file, --nats-cert-file and --nats-key-file go with --nats-url")
	case (o.natsCert == "") != (o.natsKey == ""):
		return process.Invalid("--nats-cert-file and --nats-key-file go together: set both or neither")
	case o.replicas != 0 && o.replicas != 1 && o.replicas != 3 && o.replicas != 5:
		return process.Invalid("--nats-replicas is 0 (by itself), 1, 3 or 5, not %d", o.replicas)
	case o.replicas > 1 && o.natsURL == "":
		return process.Invalid("--nats-replicas goes with --nats-url: the embedded event log has one copy")
	case o.maxBytes.Sign() != 0 && (o.maxBytes.Cmp(leastBytes) < 0 || o.maxBytes.Cmp(mostBytes) > 0):
		return process.Invalid("--event-log-max-bytes must be 0, or 64Mi at least and less than 8Ei, not %s", o.maxBytes.String())
	case o.tolerance < time.Second || o.tolerance > eventlog.DefaultMaxAge-dedupMargin:
		return process.Invalid("--signature-tolerance must be between 1s and %s, for as long as the event log recognises what it has: %s is not",
			eventlog.DefaultMaxAge-dedupMargin, o.tolerance)
	case o.maxAge < o.dedupWindow():
		return process.Invalid("--event-log-max-age must be %s at least, for as long as the event log recognises what it has: %s is not",
			o.dedupWindow(), o.maxAge)
	}
	if err := o.validateTraces(); err != nil {
		return err
	}
	if err := process.ValidateAddresses(o.addresses()...); err != nil {
		return err
	}
	return o.validateFiles()
}

func (o *options) validateTraces() error {
	if !(o.traceSampleRatio >= 0 && o.traceSampleRatio <= 1) { // nor NaN
		return process.Invalid("--trace-sample-ratio must be from 0 to 1, not %v", o.traceSampleRatio)
	}
	if o.otlpEndpoint == "" {
		return nil
	}
	if err := tracing.CheckEndpoint(o.otlpEndpoint); err != nil {
		return process.Invalid("--otlp-endpoint cannot be used: %v", err)
	}
	return nil
}

func (o *options) addresses() []process.Address {
	return append([]process.Address{
		{Flag: "--public-bind-address", Value: o.publicAddress},
		{Flag: "--private-bind-address", Value: o.privateAddress, Optional: true},
	}, o.Addresses()...)
}

// dedupWindow is for how long the event log recognises duplicates: for longer than a captured request can be sent again, so that a replay
// with an old and valid signature is stored once.
func (o *options) dedupWindow() time.Duration {
	return max(eventlog.DefaultDedupWindow, o.tolerance+dedupMargin)
}

// eventLog are the options of the event log, once the process has bounded its memory.
func (o *options) eventLog(log logr.Logger) eventlog.Options {
	return eventlog.Options{
		DataDir: o.dataDir, URL: o.natsURL, CredsFile: o.natsCreds, Fsync: o.fsync, Log: log,
		DedupWindow: o.dedupWindow(), MaxAge: o.maxAge, MaxBytes: o.maxBytes.Value(), Replicas: o.replicas,
		CAFile: o.natsCA, CertFile: o.natsCert, KeyFile: o.natsKey, MemoryLimit: process.MemoryLimit(),
	}
}

func (o *options) eventLogFlag() string {
	if o.natsURL != "" {
		return "--nats-url"
	}
	return "--data-dir"
}
