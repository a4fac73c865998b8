// Command events writes docs/reference/events: for each type of events the JSON Schema of its data and an example, and a page that shows them
// all. The schemas come from the Go types, the examples from webhooks of the tests.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tiktok-operator/tiktok-operator/hack/docs/schema"
)

// Where, in the repository, the types and the tests' webhooks are.
const (
	typesDir = "internal/cloudevent"
	wireDir  = "internal/cloudevent/testdata/wire"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "events:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: events FOLDER")
	}
	files, err := generate(".", wireDir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // documentation
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(args[0], name), text, 0o644); err != nil { //nolint:gosec // documentation
			return err
		}
	}
	return nil
}

// generate makes the files of the folder.
func generate(root, wire string) (map[string][]byte, error) {
	source, err := schema.ReadSource(root, typesDir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	var sections []section
	for _, d := range catalogue() {
		s, err := dataSchema(source, d)
		if err != nil {
			return nil, err
		}
		if files[d.eventType+".schema.json"], err = schema.Encode(s, "  "); err != nil {
			return nil, err
		}
		examples, err := readExamples(wire, d, "text")
		if err != nil {
			return nil, err
		}
		data, err := examples[0].data(true)
		if err != nil {
			return nil, err
		}
		files[d.eventType+".example.json"] = []byte(data + "\n")
		sections = append(sections, section{d, s, examples})
	}
	files["README.md"], err = page(sections)
	return files, err
}
