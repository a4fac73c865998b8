package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// member of an object of JSON, object one that keeps their order.
type member struct {
	name  string
	value any
}

type object []member

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	b := bytes.NewBufferString("{")
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "%q:", m.name)
		value, err := encode(m.value, "")
		if err != nil {
			return nil, err
		}
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode writes JSON that leaves <, > and & as they are.
func encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	err := e.Encode(v)
	return b.Bytes(), err
}

// builder makes the schema of one type of events.
type builder struct {
	source *source
	defs   map[string]object
}

// schema of a type's data: draft 2020-12. Fields that it does not name are allowed, since later versions add some.
func schema(s *source, d described) (object, error) {
	b := &builder{source: s, defs: map[string]object{}}
	properties, _, err := b.properties(d.data, append(slices.Clone(d.required), d.optional...))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.eventType, err)
	}
	for i, p := range properties {
		if p.name == "raw" && !d.anyRaw {
			properties[i].value = append(object{{"type", "object"}}, p.value.(object)...)
		}
	}
	o := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"$id", "urn:tiktok-operator:event:" + d.eventType},
		{"title", d.eventType}, {"description", d.when}, {"type", "object"}, {"properties", properties},
	}
	if len(d.required) > 0 {
		o = append(o, member{"required", d.required})
	}
	if len(b.defs) > 0 {
		o = append(o, member{"$defs", b.defs})
	}
	return o, nil
}

// properties of a struct: those named, or all; required are those that are always written.
func (b *builder) properties(t reflect.Type, only []string) (properties object, required []string, err error) {
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
		description, err := b.source.describe(t.Name(), f.goName, names)
		if err != nil {
			return nil, nil, err
		}
		o, err := b.typeOf(f.goType)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.name, err)
		}
		properties = append(properties, member{f.name, append(o, member{"description", description})})
		if f.always {
			required = append(required, f.name)
		}
	}
	return properties, required, nil
}

func (b *builder) typeOf(t reflect.Type) (object, error) {
	switch {
	case t.Kind() == reflect.Pointer:
		return b.typeOf(t.Elem())
	case t == reflect.TypeFor[time.Time]():
		return object{{"type", "string"}, {"format", "date-time"}}, nil
	case t == reflect.TypeFor[json.RawMessage]():
		return object{}, nil
	case t.Kind() == reflect.String && len(b.source.values[t.Name()]) > 0:
		return object{{"type", "string"}, {"enum", b.source.values[t.Name()]}}, nil
	case t.Kind() == reflect.String:
		return object{{"type", "string"}}, nil
	case t.Kind() == reflect.Int:
		return object{{"type", "integer"}}, nil
	case t.Kind() == reflect.Bool:
		return object{{"type", "boolean"}}, nil
	case t.Kind() == reflect.Slice:
		items, err := b.typeOf(t.Elem())
		return object{{"type", "array"}, {"items", items}}, err
	case t.Kind() == reflect.Struct:
		return object{{"$ref", "#/$defs/" + t.Name()}}, b.define(t)
	default:
		return nil, fmt.Errorf("there is no schema for the Go type %s", t)
	}
}

func (b *builder) define(t reflect.Type) error {
	if _, done := b.defs[t.Name()]; done {
		return nil
	}
	b.defs[t.Name()] = nil
	properties, required, err := b.properties(t, nil)
	if err != nil {
		return err
	}
	o := object{{"type", "object"}, {"properties", properties}}
	if len(required) > 0 {
		o = append(o, member{"required", required})
	}
	b.defs[t.Name()] = o
	return nil
}

// field of a struct, as encoding/json writes it.
type field struct {
	goName, name string
	goType       reflect.Type
	// always says that it is written also when it is empty.
	always bool
}

func fields(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = append(all, field{f.Name, name, f.Type, !strings.Contains(options, "omitempty")})
	}
	return all
}
