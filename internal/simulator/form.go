package simulator

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
)

const (
	// maxForm is how long an upload may be: more than its file, so that one that is too large is told so.
	maxForm = 8 << 20
	// maxField is how long a field of a form may be, besides the file.
	maxField = 1 << 10
)

// fromForm reads the fields and the file of a multipart form.
func fromForm(r *http.Request, body []byte, bodyErr error) (given map[string]any, file []byte, fail *failure) {
	given = map[string]any{}
	if bodyErr != nil {
		return given, nil, refuse(codeParameter, "body: it could not be read, or is larger than %d bytes.", maxForm)
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return given, nil, refuse(codeParameter, "Content-Type: must be multipart/form-data.")
	}
	if r.URL.RawQuery != "" {
		return given, nil, refuse(codeParameter, "query: parameters of this call belong into its body.")
	}
	hasFile := false
	for parts := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return given, nil, refuse(codeParameter, "body: it is not a multipart form.")
		}
		content, err := io.ReadAll(part)
		name := part.FormName()
		_, twice := given[name]
		switch {
		case err != nil:
			return given, nil, refuse(codeParameter, "body: it breaks off.")
		case twice, name == "file" && hasFile:
			return given, nil, refuse(codeParameter, "%s: given more than once.", clip(name, maxName))
		case name == "file" && part.FileName() == "":
			return given, nil, refuse(codeParameter, "file: it has no file name, so it is not a file.")
		case name == "file":
			file, hasFile = content, true
		case len(content) > maxField:
			return given, nil, refuse(codeParameter, "%s: too long.", clip(name, maxName))
		default:
			given[name] = string(content)
		}
	}
	if len(file) == 0 {
		return given, nil, refuse(codeParameter, "file: Missing data for required field.")
	}
	return given, file, nil
}

// baseOf is the address that a request came to.
func baseOf(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
