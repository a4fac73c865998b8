package main

import (
	"flag"

	"github.com/tiktok-operator/tiktok-operator/internal/process"
)

// Where authorization links may appear.
const (
	linksInStatus = "status"
	linksInAPI    = "api"
)

type options struct {
	process.Flags
	leaderElect        bool
	journalDir         string
	authorizationLinks string
	concurrency        int
	allowPrivateSinks  bool
}

func (o *options) bind(fs *flag.FlagSet) {
	o.Bind(fs, ":8080")
	fs.BoolVar(&o.leaderElect, "leader-elect", true, "let one of several managers lead; without it there must be one only")
	fs.StringVar(&o.journalDir, "journal-dir", "",
		"directory on the pod's own (in-memory) volume that keeps TikTok's answers until they are stored; default: none is kept")
	fs.StringVar(&o.authorizationLinks, "authorization-links", linksInStatus,
		"where authorization links appear: status (status.authorizationURL), or api (only the messaging API hands them out)")
	fs.BoolVar(&o.allowPrivateSinks, "allow-private-sinks", false,
		"do not complain of sinks with a uri that is a loopback or private address: set it where the webhook deployment has it")
	fs.IntVar(&o.concurrency, "concurrent-channels", 16, "channels that are reconciled at once")
}

// validate refuses what cannot work, with *process.InvalidError.
func (o *options) validate() error {
	switch {
	case o.authorizationLinks != linksInStatus && o.authorizationLinks != linksInAPI:
		return process.Invalid("--authorization-links is %s or %s, not %q", linksInStatus, linksInAPI, o.authorizationLinks)
	case o.concurrency < 1:
		return process.Invalid("--concurrent-channels must be at least 1, not %d", o.concurrency)
	}
	return process.ValidateAddresses(o.Addresses()...)
}
