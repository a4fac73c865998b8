package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
)

// source is what the Go source says beyond what reflection tells: comments, and the values of a type's constants.
type source struct {
	fields map[string]string   // by type and field, "Data.Kind"
	values map[string][]string // by type
}

// readSource reads the files of a package.
func readSource(dir string) (*source, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	s := &source{fields: map[string]string{}, values: map[string][]string{}}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("parsing the event types: %w", err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				if fields, ok := n.Type.(*ast.StructType); ok {
					s.readFields(n.Name.Name, fields)
				}
			case *ast.ValueSpec:
				s.readConstants(n)
			}
			return true
		})
	}
	return s, nil
}

func (s *source) readFields(structure string, fields *ast.StructType) {
	for _, field := range fields.Fields.List {
		for _, name := range field.Names {
			s.fields[structure+"."+name.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
		}
	}
}

func (s *source) readConstants(spec *ast.ValueSpec) {
	named, ok := spec.Type.(*ast.Ident)
	if !ok {
		return
	}
	for _, value := range spec.Values {
		if literal, ok := value.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			s.values[named.Name] = append(s.values[named.Name], strings.Trim(literal.Value, `"`))
		}
	}
}

// describe is a field's comment as a sentence, with the names of fields as JSON has them.
func (s *source) describe(structure, field string, names map[string]string) (string, error) {
	comment := s.fields[structure+"."+field]
	if comment == "" {
		return "", fmt.Errorf("the field %s.%s has no comment to make a description of", structure, field)
	}
	// A comment may begin with the field's name, as Go's do: "Kind is …", "ReadUpTo: …".
	for _, verb := range []string{" is ", ": ", " "} {
		if rest, ok := strings.CutPrefix(comment, field+verb); ok && (verb != " " || isVerb(rest)) {
			comment = strings.ToUpper(rest[:1]) + rest[1:]
			break
		}
	}
	first, rest, _ := strings.Cut(comment, " ")
	rest = regexp.MustCompile(`\b[A-Z]\w*\b`).ReplaceAllStringFunc(rest, func(word string) string {
		if name, ok := names[word]; ok {
			return name
		}
		return word
	})
	return first + " " + rest, nil
}

// isVerb says whether a text begins with one of the verbs that comments here have after a name.
func isVerb(text string) bool {
	verb, _, _ := strings.Cut(text, " ")
	return verb == "says" || verb == "marks"
}
