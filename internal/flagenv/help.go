package flagenv

import (
	"flag"
	"fmt"
	"io"
	"strings"
)

// Help writes every flag of fs with its meaning, its default and its environment variable. hack/docs/flags reads this form.
func Help(fs *flag.FlagSet, w io.Writer) {
	fmt.Fprintf(w, "Usage: %s [flags]\n\n"+
		"Each flag can also be set by the environment variable named with it; a flag wins over its variable.\n", fs.Name())
	fs.VisitAll(func(f *flag.Flag) {
		kind, meaning := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "\n  --%s\n        %s\n", strings.TrimSpace(f.Name+" "+kind), meaning)
		value := ""
		if f.DefValue != "" {
			value = "default " + f.DefValue + ", "
		}
		fmt.Fprintf(w, "        (%senvironment %s)\n", value, Variable(f.Name))
	})
}
