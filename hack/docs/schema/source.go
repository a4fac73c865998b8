package schema

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
)

// Source is what the Go source says beyond what reflection tells: comments, and the values of a type's constants.
type Source struct {
	fields map[string]string   // by package, type and field, "internal/cloudevent.Data.Kind"
	values map[string][]string // by package and type
}

// ReadSource reads the files of packages, by their folders in the repository at root.
func ReadSource(root string, dirs ...string) (*Source, error) {
	s := &Source{fields: map[string]string{}, values: map[string][]string{}}
	for _, dir := range dirs {
		if err := s.read(root, dir); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Add adds the comment of a field, by its package's folder, type and name.
func (s *Source) Add(field, comment string) { s.fields[field] = comment }

// module is the repository's.
const module = "github.com/tiktok-operator/tiktok-operator/"

// key of a type, as ReadSource has it.
func key(t reflect.Type) string { return strings.TrimPrefix(t.PkgPath(), module) + "." + t.Name() }

func (s *Source) read(root, dir string) error {
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		return err
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parsing types: %w", err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				if fields, ok := n.Type.(*ast.StructType); ok {
					s.readFields(dir+"."+n.Name.Name, fields)
				}
			case *ast.ValueSpec:
				s.readConstants(dir, n)
			}
			return true
		})
	}
	return nil
}

func (s *Source) readFields(structure string, fields *ast.StructType) {
	for _, field := range fields.Fields.List {
		for _, name := range field.Names {
			s.fields[structure+"."+name.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
		}
	}
}

func (s *Source) readConstants(dir string, spec *ast.ValueSpec) {
	named, ok := spec.Type.(*ast.Ident)
	if !ok {
		return
	}
	for _, value := range spec.Values {
		if literal, ok := value.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			s.values[dir+"."+named.Name] = append(s.values[dir+"."+named.Name], strings.Trim(literal.Value, `"`))
		}
	}
}

// describe is a field's comment as a sentence, with the names of fields as JSON has them.
func (s *Source) describe(structure reflect.Type, field string, names map[string]string) (string, error) {
	comment := s.fields[key(structure)+"."+field]
	if comment == "" {
		return "", fmt.Errorf("the field %s.%s has no comment to make a description of", key(structure), field)
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
	return strings.TrimSpace(first + " " + rest), nil
}

// isVerb says whether a text begins with one of the verbs that comments here have after a name.
func isVerb(text string) bool {
	verb, _, _ := strings.Cut(text, " ")
	return verb == "says" || verb == "marks"
}
