package simulator

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
)

// decode reads a call's parameters from its query or its body and checks them against what the endpoint knows. The call is never nil; seen
// is what the log of calls may show, whether or not the call is well-formed.
func decode(r *http.Request, body []byte, bodyErr error, name string, e endpoint) (c *call, seen map[string]string, fail *failure) {
	c = &call{
		endpoint: name, params: map[string]string{}, lists: map[string][]string{}, objects: map[string]json.RawMessage{},
		accessToken: r.Header.Get("Access-Token"), base: baseOf(r),
	}
	var given map[string]any
	switch {
	case e.method == http.MethodGet:
		given, fail = fromQuery(r.URL.RawQuery)
	case e.form:
		given, c.file, fail = fromForm(r, body, bodyErr)
	default:
		given, fail = fromBody(r, body, bodyErr)
	}
	seen = show(given, e.params, c.accessToken)
	if fail == nil {
		fail = c.assign(given, e.params)
	}
	return c, seen, fail
}

func fromQuery(raw string) (map[string]any, *failure) {
	given := map[string]any{}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return given, refuse(codeParameter, "query: it is not encoded properly.")
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if len(query[name]) > 1 {
			return given, refuse(codeParameter, "%s: given more than once.", name)
		}
		given[name] = query.Get(name)
	}
	return given, nil
}

func fromBody(r *http.Request, body []byte, bodyErr error) (map[string]any, *failure) {
	given := map[string]any{}
	if bodyErr != nil {
		return given, refuse(codeParameter, "body: it could not be read, or is larger than %d bytes.", maxBody)
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return given, refuse(codeParameter, "Content-Type: must be application/json.")
	}
	if r.URL.RawQuery != "" {
		return given, refuse(codeParameter, "query: parameters of this call belong into its body.")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&given); err != nil || given == nil {
		return map[string]any{}, refuse(codeParameter, "body: must be a JSON object.")
	}
	if _, err := d.Token(); err != io.EOF {
		return given, refuse(codeParameter, "body: something follows the JSON object.")
	}
	return given, nil
}

// assign checks and takes over what was given. An unknown name is told before a missing one: a wrong spelling causes both.
func (c *call) assign(given map[string]any, params []parameter) *failure {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.ContainsFunc(params, func(p parameter) bool { return p.name == name }) {
			return refuse(codeParameter, "%s: Unknown field.", clip(name, maxName))
		}
	}
	for _, p := range params {
		switch value := given[p.name].(type) {
		case nil:
			if !p.optional {
				return refuse(codeParameter, "%s: Missing data for required field.", p.name)
			}
		case string:
			if value == "" && !p.optional {
				return refuse(codeParameter, "%s: Missing data for required field.", p.name)
			}
			if p.object {
				return refuse(codeParameter, "%s: Not a valid JSON object.", p.name)
			}
			if !p.list {
				c.params[p.name] = value
			} else if value != "" && !c.listFromQuery(p.name, value) {
				return refuse(codeParameter, "%s: Not a valid list of strings.", p.name)
			}
		case []any:
			if !p.list || !c.listFromBody(p.name, value) {
				return refuse(codeParameter, "%s: Not a valid value.", p.name)
			}
		case map[string]any:
			if !p.object {
				return refuse(codeParameter, "%s: Not a valid string.", p.name)
			}
			c.objects[p.name] = encode(value)
		default:
			return refuse(codeParameter, "%s: Not a valid string.", p.name)
		}
	}
	return nil
}

func (c *call) listFromQuery(name, text string) bool {
	var list []string
	if json.Unmarshal([]byte(text), &list) != nil || list == nil {
		return false
	}
	c.lists[name] = list
	return true
}

func (c *call) listFromBody(name string, items []any) bool {
	list := make([]string, 0, len(items))
	for _, item := range items {
		text, ok := item.(string)
		if !ok {
			return false
		}
		list = append(list, text)
	}
	c.lists[name] = list
	return true
}
