// Package schema makes JSON Schemas of Go types, with their comments as descriptions. The libraries that reflect Go types (invopop/jsonschema,
// google/jsonschema-go) know neither which fields of a struct that all types share belong to one of them, nor the comments of a type's constants
// and fields under their names in JSON.
package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Member of an object of JSON.
type Member struct {
	Name  string
	Value any
}

// Object of JSON that keeps the order of its members.
type Object []Member

// MarshalJSON implements json.Marshaler.
func (o Object) MarshalJSON() ([]byte, error) {
	b := bytes.NewBufferString("{")
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "%q:", m.Name)
		value, err := Encode(m.Value, "")
		if err != nil {
			return nil, err
		}
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Encode writes JSON that leaves <, > and & as they are.
func Encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	err := e.Encode(v)
	return b.Bytes(), err
}

// Get is a member's value; nil if there is none.
func (o Object) Get(name string) any {
	for _, m := range o {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}

// M makes a member.
func M(name string, value any) Member { return Member{name, value} }
