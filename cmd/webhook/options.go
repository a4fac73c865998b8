package main

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/process"
)

type options struct {
	process.Flags
	publicAddress, privateAddress string
	certFile, keyFile             string
	dataDir, natsURL, natsCreds   string
	fsync                         eventlog.Fsync
	tolerance                     time.Duration
	allowPrivateSinks             bool
}

func (o *options) bind(fs *flag.FlagSet) {
	o.Bind(fs, ":9090")
	fs.StringVar(&o.publicAddress, "public-bind-address", ":8080", "address for TikTok and people's browsers, behind your ingress")
	fs.StringVar(&o.privateAddress, "private-bind-address", ":8443", "address of the API for programs, with TLS; 0 turns it off")
	fs.StringVar(&o.certFile, "private-tls-cert-file", "", "certificate of the private address; default: self-signed")
	fs.StringVar(&o.keyFile, "private-tls-key-file", "", "key of --private-tls-cert-file")
	fs.StringVar(&o.dataDir, "data-dir", "", "directory of the embedded event log")
	fs.StringVar(&o.natsURL, "nats-url", "", "external NATS with JetStream, instead of --data-dir")
	fs.StringVar(&o.natsCreds, "nats-creds", "", "credentials file for --nats-url")
	fs.Var(&o.fsync, "fsync", "when the embedded event log is synced to disk: always, or an interval such as 1s (a power cut then loses that much)")
	fs.DurationVar(&o.tolerance, "signature-tolerance", ingest.DefaultTolerance().Past, "how old a webhook's signature may be; TikTok retries for 72h")
	fs.BoolVar(&o.allowPrivateSinks, "allow-private-sinks", false, "let sinks with a uri be loopback and private addresses")
}

func (o *options) validate() error {
	switch {
	case (o.dataDir == "") == (o.natsURL == ""):
		return errors.New("set one of --data-dir (embedded event log) and --nats-url (external NATS)")
	case (o.certFile == "") != (o.keyFile == ""):
		return errors.New("--private-tls-cert-file and --private-tls-key-file go together")
	case o.natsCreds != "" && o.natsURL == "":
		return errors.New("--nats-creds goes with --nats-url")
	case o.tolerance < time.Second:
		return fmt.Errorf("--signature-tolerance must be at least 1s, not %s", o.tolerance)
	}
	return nil
}
