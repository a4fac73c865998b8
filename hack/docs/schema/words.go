package schema

import (
	"fmt"
	"path"
	"strings"
)

// KindOf is a property's type in words, and the definition that it refers to.
func KindOf(o Object) (kind, inner string) {
	if items, ok := o.Get("items").(Object); ok {
		kind, inner = KindOf(items)
		return "list of " + kind + "s", inner
	}
	if ref, ok := o.Get("$ref").(string); ok {
		return "object", path.Base(ref)
	}
	if values, ok := o.Get("enum").([]string); ok {
		return "`" + strings.Join(values, "`, `") + "`", ""
	}
	if o.Get("format") == "date-time" {
		return "time", ""
	}
	if t, ok := o.Get("type").(string); ok {
		return t, ""
	}
	return "any", ""
}

// Cell is a property's description, as a cell of a table in Markdown.
func Cell(o Object) string {
	return strings.ReplaceAll(fmt.Sprint(o.Get("description")), "|", `\|`)
}
