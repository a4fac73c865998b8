// Package output is the flag -o, and how an answer is printed in the forms that it names.
package output

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// The forms that a command may offer.
const (
	JSON = "json"
	YAML = "yaml"
	Wide = "wide"
)

// Flag is -o of a command. Its zero value prints for people.
type Flag struct {
	form  string
	forms []string
}

// Add adds -o to a command, with the forms that it offers. Another one is refused before the command does anything.
func (f *Flag) Add(cmd *cobra.Command, usage string, forms ...string) {
	f.forms = forms
	cmd.Flags().VarP(f, "output", "o", usage)
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

// String implements pflag.Value.
func (f *Flag) String() string { return f.form }

// Set implements pflag.Value.
func (f *Flag) Set(form string) error {
	if !slices.Contains(f.forms, form) {
		last := len(f.forms) - 1
		return fmt.Errorf("it is %s or %s", strings.Join(f.forms[:last], ", "), f.forms[last])
	}
	f.form = form
	return nil
}

// Type implements pflag.Value.
func (*Flag) Type() string { return "form" }

// Wide says that a table is to have more columns.
func (f *Flag) Wide() bool { return f.form == Wide }

// Structured says that a program reads what is printed.
func (f *Flag) Structured() bool { return f.form == JSON || f.form == YAML }

// Print writes a value as JSON or YAML, as the flag says.
func (f *Flag) Print(out io.Writer, value any) error {
	if f.form == YAML {
		text, err := yaml.Marshal(value)
		if err != nil {
			return fmt.Errorf("encoding: %w", err)
		}
		_, err = out.Write(text)
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false) // links have &
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
