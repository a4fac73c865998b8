package main

import (
	"flag"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/flagenv"
)

// Both forms of help give the same page.
func TestParse(t *testing.T) {
	want := []described{
		{name: "config-path", meaning: "where it is", otherwise: "$HOME"},
		{name: "id", meaning: "an id (of an app)", value: "sim-app"},
		{name: "level", meaning: "one of 'a' or 'b'"},
		{name: "quiet", meaning: "say nothing", value: "true"},
		{name: "verbose", meaning: "say much", value: "false"},
		{name: "wait-for", meaning: "how long", value: "1h0m0s"},
	}
	for name, help := range map[string]func(*flag.FlagSet, io.Writer){
		"ours": flagenv.Help,
		"Go's": func(fs *flag.FlagSet, w io.Writer) { fs.SetOutput(w); fs.Usage() },
	} {
		fs := flag.NewFlagSet("x", flag.ContinueOnError)
		fs.String("config-path", "", "where it is; default: $HOME")
		fs.String("id", "sim-app", "an id (of an app)")
		fs.Func("level", "one of 'a' or 'b'", func(string) error { return nil })
		fs.Bool("quiet", true, "say nothing")
		fs.Bool("verbose", false, "say much")
		fs.Duration("wait-for", time.Hour, "how `long`")
		var out strings.Builder
		help(fs, &out)
		if got := parse(out.String()); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v\nwant %+v\nfrom\n%s", name, got, want, out.String())
		}
	}
}
