package main

import (
	"fmt"
	"slices"

	"github.com/tiktok-operator/tiktok-operator/hack/docs/schema"
)

// dataSchema of a type's data: draft 2020-12. Fields that it does not name are allowed, since later versions add some.
func dataSchema(s *schema.Source, d described) (schema.Object, error) {
	b := &schema.Builder{Source: s, Refs: "#/$defs/", Defs: map[string]schema.Object{}}
	properties, _, err := b.Properties(d.data, append(slices.Clone(d.required), d.optional...))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.eventType, err)
	}
	for i, p := range properties {
		if p.Name == "raw" && !d.anyRaw {
			properties[i].Value = append(schema.Object{schema.M("type", "object")}, p.Value.(schema.Object)...)
		}
	}
	o := schema.Object{
		schema.M("$schema", "https://json-schema.org/draft/2020-12/schema"), schema.M("$id", "urn:tiktok-operator:event:"+d.eventType),
		schema.M("title", d.eventType), schema.M("description", d.when), schema.M("type", "object"), schema.M("properties", properties),
	}
	if len(d.required) > 0 {
		o = append(o, schema.M("required", d.required))
	}
	if len(b.Defs) > 0 {
		o = append(o, schema.M("$defs", b.Defs))
	}
	return o, nil
}
