// Package flagenv reads command-line flags that may also be set by environment variables: --data-dir is TIKTOK_OPERATOR_DATA_DIR. A flag
// on the command line wins over its variable, which wins over the default.
package flagenv

import (
	"errors"
	"flag"
	"fmt"
	"strings"
)

const prefix = "TIKTOK_OPERATOR_"

// Variable is the environment variable of a flag.
func Variable(name string) string {
	return prefix + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(name))
}

// Parse sets the flags of fs from args, then those that args left out from the environment. Errors are sentences for the terminal; they
// wrap flag.ErrHelp if help was asked for.
func Parse(fs *flag.FlagSet, args []string, lookup func(string) (string, bool)) error {
	if err := fs.Parse(args); err != nil {
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
			// The value is not repeated: it may be a secret.
			errs = append(errs, fmt.Errorf("the environment variable %s is not valid for --%s", Variable(f.Name), f.Name))
		}
	})
	return errors.Join(errs...)
}
