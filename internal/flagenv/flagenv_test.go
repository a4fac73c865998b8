package flagenv_test

import (
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
		"bad flag":             {args: []string{"--access-token-ttl=x"}, err: "invalid value"},
		"unknown flag":         {args: []string{"--nonsense"}, err: "not defined"},
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
