package flagenv_test

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/flagenv"
)

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		env  map[string]string
		want time.Duration
		err  string
	}{
		"default":              {want: time.Hour},
		"environment":          {env: map[string]string{"TIKTOK_OPERATOR_ACCESS_TOKEN_TTL": "2h"}, want: 2 * time.Hour},
		"flag wins":            {args: []string{"--access-token-ttl=3h"}, env: map[string]string{"TIKTOK_OPERATOR_ACCESS_TOKEN_TTL": "2h"}, want: 3 * time.Hour},
		"bad variable":         {env: map[string]string{"TIKTOK_OPERATOR_ACCESS_TOKEN_TTL": "s3cret"}, err: "TIKTOK_OPERATOR_ACCESS_TOKEN_TTL is not valid"},
		"bad variable says":    {env: map[string]string{"TIKTOK_OPERATOR_ACCESS_TOKEN_TTL": "s3cret"}, err: "--access-token-ttl: it must be a duration"},
		"bad flag":             {args: []string{"--access-token-ttl=x"}, err: "invalid value"},
		"bad flag says":        {args: []string{"--access-token-ttl=x"}, err: `"x" for --access-token-ttl: it must be a duration such as`},
		"unknown flag":         {args: []string{"--nonsense"}, err: "not defined"},
		"unknown flag says":    {args: []string{"--nonsense"}, err: "--nonsense; see --help"},
		"value missing":        {args: []string{"--access-token-ttl"}, err: "needs an argument: --access-token-ttl"},
		"positional arguments": {args: []string{"serve"}, err: "unexpected argument"},
	} {
		t.Run(name, func(t *testing.T) {
			fs := flag.NewFlagSet("test", flag.ContinueOnError)
			fs.SetOutput(io.Discard)
			got := fs.Duration("access-token-ttl", time.Hour, "")
			err := flagenv.Parse(fs, tc.args, func(k string) (string, bool) { v, ok := tc.env[k]; return v, ok })
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want one with %q", err, tc.err)
				}
				if strings.Contains(err.Error(), "s3cret") {
					t.Fatal("the error repeats the variable's value")
				}
				return
			}
			if err != nil || *got != tc.want {
				t.Fatalf("got %v, %v; want %v", *got, err, tc.want)
			}
		})
	}
}

// What a flag's own type says of a value is passed on, unless it would repeat the value of a variable.
func TestErrorsOfOtherTypes(t *testing.T) {
	parse := func(args []string, env string, says string) error {
		fs := flag.NewFlagSet("test", flag.ContinueOnError)
		var printed strings.Builder
		fs.SetOutput(&printed)
		fs.Func("level", "", func(value string) error { return errors.New(strings.ReplaceAll(says, "VALUE", value)) })
		fs.Bool("quiet", false, "")
		err := flagenv.Parse(fs, args, func(k string) (string, bool) { return env, k == "TIKTOK_OPERATOR_LEVEL" && env != "" })
		if printed.Len() > 0 {
			t.Errorf("besides the error, this was printed: %s", printed.String())
		}
		if err == nil {
			t.Fatal("no error")
		}
		return err
	}
	for _, tc := range []struct {
		args             []string
		env, says, wants string
	}{
		{args: []string{"--level=x"}, says: "it must be one of a, b", wants: `invalid value "x" for --level: it must be one of a, b`},
		{env: "s3cret", says: "it must be one of a, b", wants: "the environment variable TIKTOK_OPERATOR_LEVEL is not valid for --level: it must be one of a, b"},
		{env: "s3cret", says: "no level VALUE", wants: "the environment variable TIKTOK_OPERATOR_LEVEL is not valid for --level"},
		{args: []string{"--quiet=x"}, says: "", wants: `invalid value "x" for --quiet: it must be true or false`},
	} {
		if err := parse(tc.args, tc.env, tc.says); err.Error() != tc.wants {
			t.Errorf("error %q, want %q", err, tc.wants)
		}
	}
}

func TestHelp(t *testing.T) {
	fs := flag.NewFlagSet("prog", flag.ContinueOnError)
	var out strings.Builder
	fs.SetOutput(&out)
	fs.Duration("wait", time.Hour, "how long to `wait` for")
	fs.Bool("quiet", true, "say nothing")
	fs.String("path", "", "a path; default: none")
	err := flagenv.Parse(fs, []string{"--help"}, func(string) (string, bool) { return "s3cret", true })
	if !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("error %v, want flag.ErrHelp", err)
	}
	for _, want := range []string{
		"Usage: prog [flags]\n",
		"\n  --wait wait\n        how long to wait for\n        (default 1h0m0s, environment TIKTOK_OPERATOR_WAIT)\n",
		"\n  --quiet\n        say nothing\n        (default true, environment TIKTOK_OPERATOR_QUIET)\n",
		"\n  --path string\n        a path; default: none\n        (environment TIKTOK_OPERATOR_PATH)\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the help lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "s3cret") {
		t.Error("the help repeats the environment")
	}
}
