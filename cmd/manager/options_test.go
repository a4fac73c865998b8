package main

import (
	"flag"
	"io"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/process/processtest"
)

func parse(args ...string) (*options, *flag.FlagSet, error) {
	var o options
	fs := flag.NewFlagSet("manager", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	o.bind(fs)
	_, err := o.Parse(fs, args)
	return &o, fs, err
}

// The defaults that charts and scripts rely on.
func TestDefaults(t *testing.T) {
	o, fs, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	if err := o.validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	for name, want := range map[string]string{
		"kubeconfig": "", "metrics-bind-address": ":8080", "health-probe-bind-address": ":8081", "leader-elect": "true", "watch-namespaces": "",
		"namespace": "", "journal-dir": "", "authorization-links": "status",
	} {
		if f := fs.Lookup(name); f == nil || f.DefValue != want {
			t.Errorf("--%s: %+v, want the default %q", name, f, want)
		}
	}
}

func TestEveryFlagReadsItsVariable(t *testing.T) {
	processtest.Variables(t, map[string]string{
		"zap-encoder": "console", "zap-log-level": "debug", "zap-stacktrace-level": "panic", "zap-time-encoding": "iso8601",
	}, func(args ...string) (*flag.FlagSet, error) {
		_, fs, err := parse(args...)
		return fs, err
	})
}
