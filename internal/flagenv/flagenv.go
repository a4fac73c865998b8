// Package flagenv reads command-line flags that may also be set by environment variables: --data-dir is TIKTOK_OPERATOR_DATA_DIR. A flag
// on the command line wins over its variable, which wins over the default.
package flagenv

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

const prefix = "TIKTOK_OPERATOR_"

// Variable is the environment variable of a flag.
func Variable(name string) string {
	return prefix + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(name))
}

// Parse sets the flags of fs from args, then those that args left out from the environment. Errors are sentences for the terminal, and
// nothing else is printed. Where help was asked for, the error wraps flag.ErrHelp, and Help was written to fs.Output.
func Parse(fs *flag.FlagSet, args []string, lookup func(string) (string, bool)) error {
	if err := parseArgs(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: everything is set by flags, see --help", fs.Arg(0))
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var errs []error
	fs.VisitAll(func(f *flag.Flag) {
		value, ok := lookup(Variable(f.Name))
		if !ok || given[f.Name] {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("the environment variable %s is not valid for --%s%s", Variable(f.Name), f.Name, hint(f, err, value)))
		}
	})
	return errors.Join(errs...)
}

// parseArgs keeps the flag package from printing its own message with all of the help behind it.
func parseArgs(fs *flag.FlagSet, args []string) error {
	out, usage := fs.Output(), fs.Usage
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	defer func() {
		fs.SetOutput(out)
		fs.Usage = usage
	}()
	err := fs.Parse(args)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, flag.ErrHelp):
		Help(fs, out)
		return err
	default:
		return sentence(fs, err)
	}
}

var (
	invalidValue = regexp.MustCompile(`^invalid (?:boolean )?value (".*") for (?:flag )?-([^:]+): (.*)$`)
	singleDash   = regexp.MustCompile(`(: )-([a-zA-Z0-9])`)
)

// sentence says what the flag package says in the way that flags are written here, and what would be right.
func sentence(fs *flag.FlagSet, err error) error {
	if m := invalidValue.FindStringSubmatch(err.Error()); m != nil {
		if f := fs.Lookup(m[2]); f != nil {
			return fmt.Errorf("invalid value %s for --%s%s", m[1], f.Name, hint(f, errors.New(m[3]), ""))
		}
	}
	return fmt.Errorf("%s; see --help", singleDash.ReplaceAllString(err.Error(), "$1--$2"))
}

// hint is ": " and what a flag wants. It never repeats the value of an environment variable: that may be a secret.
func hint(f *flag.Flag, err error, secret string) string {
	if g, ok := f.Value.(flag.Getter); ok {
		switch g.Get().(type) {
		case bool:
			return ": it must be true or false"
		case int:
			return ": it must be a whole number"
		case float64:
			return ": it must be a number"
		case time.Duration:
			return ": it must be a duration such as 90s, 15m or 72h"
		}
	}
	if text := err.Error(); secret == "" || !strings.Contains(text, secret) {
		return ": " + text
	}
	return ""
}
