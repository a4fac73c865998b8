package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// envPrefix and a flag's name in capitals make the environment variable that sets it: --app-id is TIKTOK_OPERATOR_APP_ID.
const envPrefix = "TIKTOK_OPERATOR_"

type options struct {
	bindAddress string
	simulator   simulator.Options
}

// parse reads the flags, and from the environment those that are not given. Errors repeat no value of a variable: it may be a secret.
func parse(args []string, lookup func(string) (string, bool), usage io.Writer) (options, error) {
	var o options
	limit := rate(10)
	fs := flag.NewFlagSet("tiktok-simulator", flag.ContinueOnError)
	fs.SetOutput(usage)
	fs.StringVar(&o.bindAddress, "bind-address", "127.0.0.1:9400", "address to listen on; port 0 takes a free one")
	fs.StringVar(&o.simulator.AppID, "app-id", "sim-app", "id of the app that TikTok knows")
	fs.StringVar(&o.simulator.AppSecret, "app-secret", "sim-secret", "secret of the app")
	fs.DurationVar(&o.simulator.AccessTokenTTL, "access-token-ttl", 24*time.Hour, "how long access tokens live, 1s at least")
	fs.DurationVar(&o.simulator.RefreshTokenTTL, "refresh-token-ttl", 8760*time.Hour, "how long refresh tokens live, 1s at least")
	fs.Var(&limit, "rate-limit", "API calls a second that are answered, such as 10 or 10/s; 0 answers all")
	fs.BoolVar(&o.simulator.AutoConsent, "auto-consent", false, "grant at once instead of showing the consent page")

	var errs []error
	fs.VisitAll(func(f *flag.Flag) {
		name := envPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value, given := lookup(name); given {
			if err := f.Value.Set(value); err != nil {
				errs = append(errs, fmt.Errorf("the environment variable %s is not valid for --%s", name, f.Name))
			}
		}
	})
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q: everything is set by flags, see --help", fs.Arg(0)))
	}
	if o.simulator.AccessTokenTTL < time.Second || o.simulator.RefreshTokenTTL < time.Second {
		errs = append(errs, errors.New("--access-token-ttl and --refresh-token-ttl must be 1s at least"))
	}
	if o.simulator.AppID == "" || o.simulator.AppSecret == "" {
		errs = append(errs, errors.New("--app-id and --app-secret must not be empty"))
	}
	o.simulator.RateLimit = float64(limit)
	return o, errors.Join(errs...)
}

// rate is a flag: calls a second, with or without the unit.
type rate float64

// String implements flag.Value.
func (r *rate) String() string { return strconv.FormatFloat(float64(*r), 'g', -1, 64) }

// Set implements flag.Value.
func (r *rate) Set(text string) error {
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "/s"), 64)
	if err != nil || !(v >= 0 && v <= 1e6) { // NaN too
		return errors.New("must be a number of calls a second, such as 10 or 10/s")
	}
	*r = rate(v)
	return nil
}
