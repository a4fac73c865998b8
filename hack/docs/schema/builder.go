package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Builder makes schemas, and collects those of the structs that they refer to.
type Builder struct {
	Source *Source
	// Refs begins a reference to a definition, such as #/$defs/.
	Refs string
	// Names are those of definitions where they are not the types'.
	Names map[reflect.Type]string
	// Defs are the definitions, by name.
	Defs map[string]Object
}

// Properties of a struct: those named, or all; required are those that are always written.
func (b *Builder) Properties(t reflect.Type, only []string) (properties Object, required []string, err error) {
	names := map[string]string{}
	for _, f := range fields(t) {
		names[f.goName] = f.name
	}
	for _, name := range only {
		if !slices.ContainsFunc(fields(t), func(f field) bool { return f.name == name }) {
			return nil, nil, fmt.Errorf("%s has no field %q", t, name)
		}
	}
	for _, f := range fields(t) {
		if only != nil && !slices.Contains(only, f.name) {
			continue
		}
		description, err := b.Source.describe(f.in, f.goName, names)
		if err != nil {
			return nil, nil, err
		}
		o, err := b.TypeOf(f.goType)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.name, err)
		}
		properties = append(properties, Member{f.name, append(o, Member{"description", description})})
		if f.always {
			required = append(required, f.name)
		}
	}
	return properties, required, nil
}

// TypeOf is the schema of a type; a struct is defined, and referred to.
func (b *Builder) TypeOf(t reflect.Type) (Object, error) {
	switch {
	case t.Kind() == reflect.Pointer:
		return b.TypeOf(t.Elem())
	case t == reflect.TypeFor[time.Time]():
		return Object{{"type", "string"}, {"format", "date-time"}}, nil
	case t == reflect.TypeFor[json.RawMessage]():
		return Object{}, nil
	case t.Kind() == reflect.String && len(b.Source.values[key(t)]) > 0:
		return Object{{"type", "string"}, {"enum", b.Source.values[key(t)]}}, nil
	case t.Kind() == reflect.String:
		return Object{{"type", "string"}}, nil
	case t.Kind() == reflect.Int:
		return Object{{"type", "integer"}}, nil
	case t.Kind() == reflect.Bool:
		return Object{{"type", "boolean"}}, nil
	case t.Kind() == reflect.Slice:
		items, err := b.TypeOf(t.Elem())
		return Object{{"type", "array"}, {"items", items}}, err
	case t.Kind() == reflect.Struct:
		return Object{{"$ref", b.Refs + b.name(t)}}, b.define(t)
	default:
		return nil, fmt.Errorf("there is no schema for the Go type %s", t)
	}
}

func (b *Builder) name(t reflect.Type) string {
	if name, ok := b.Names[t]; ok {
		return name
	}
	return t.Name()
}

func (b *Builder) define(t reflect.Type) error {
	if _, done := b.Defs[b.name(t)]; done {
		return nil
	}
	b.Defs[b.name(t)] = nil
	properties, required, err := b.Properties(t, nil)
	if err != nil {
		return err
	}
	o := Object{{"type", "object"}, {"properties", properties}}
	if len(required) > 0 {
		o = append(o, Member{"required", required})
	}
	b.Defs[b.name(t)] = o
	return nil
}

// field of a struct, as encoding/json writes it.
type field struct {
	// in is the struct that declares it.
	in           reflect.Type
	goName, name string
	goType       reflect.Type
	// always says that it is written also when it is empty.
	always bool
}

// fields are those that encoding/json writes; of a struct that is embedded, too, but for those that the outer one declares.
func fields(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			all = append(all, fields(embedded)...)
			continue
		}
		if !f.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = slices.DeleteFunc(all, func(other field) bool { return other.name == name })
		if f.Type.Kind() == reflect.Pointer && f.Type.Elem() == reflect.TypeFor[struct{}]() {
			continue // it hides one that is embedded, and is never written
		}
		all = append(all, field{t, f.Name, name, f.Type, !strings.Contains(options, "omitempty")})
	}
	return all
}
