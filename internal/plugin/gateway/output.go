package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"
)

// Output is how an answer is shown: as a table, or as the API gave it.
type Output struct{ format string }

// AddFlags adds -o.
func (o *Output) AddFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&o.format, "output", "o", "", "json or yaml, as the private API answers; default: a table")
}

// Show asks for path, and shows the answer, which is decoded into value for the table.
func (o *Output) Show(cmd *cobra.Command, g *Gateway, path string, value any, table func(io.Writer)) error {
	if o.format != "" && o.format != "json" && o.format != "yaml" {
		return fmt.Errorf("-o is json or yaml, not %q", o.format)
	}
	var raw []byte
	if err := g.Do(cmd.Context(), http.MethodGet, path, nil, &raw); err != nil {
		return err
	}
	switch o.format {
	case "json":
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", raw)
		return err
	case "yaml":
		text, err := yaml.JSONToYAML(raw)
		if err != nil {
			return fmt.Errorf("decoding the answer: %w", err)
		}
		_, err = cmd.OutOrStdout().Write(text)
		return err
	}
	if err := json.Unmarshal(raw, value); err != nil {
		return fmt.Errorf("decoding the answer: %w", err)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
	table(w)
	return w.Flush()
}
