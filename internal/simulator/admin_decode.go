package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// readJSON decodes a body of the admin API. It refuses what it does not know, with a sentence that repeats no value.
func readJSON(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			return errors.New("something follows the JSON object in the body")
		}
		return nil
	}
	var (
		mistyped  *json.UnmarshalTypeError
		malformed *json.SyntaxError
		tooLarge  *http.MaxBytesError
		duration  durationError
	)
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the body is empty: send a JSON object")
	case errors.As(err, &duration):
		return duration
	case errors.As(err, &tooLarge):
		return adminError{http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", tooLarge.Limit)}
	case errors.As(err, &mistyped) && mistyped.Field == "":
		return errors.New("the body must be a JSON object")
	case errors.As(err, &mistyped):
		name := mistyped.Field[strings.LastIndexByte(mistyped.Field, '.')+1:] // without the names of embedded types
		return fmt.Errorf("the field %q has the wrong type: it must be a %s", name, typeName(mistyped.Type.Kind().String()))
	case errors.As(err, &malformed), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the body is not valid JSON")
	}
	if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		return fmt.Errorf("the field %s is not known here: see docs/reference/simulator.md", name)
	}
	return errors.New("the body cannot be read")
}

func typeName(kind string) string {
	switch kind {
	case "int", "int64", "float64":
		return "number"
	case "slice":
		return "list"
	case "struct", "map":
		return "JSON object"
	case "bool":
		return "boolean"
	}
	return kind
}

// duration is a time.Duration that JSON writes as "1.5s".
type duration time.Duration

type durationError struct{}

func (durationError) Error() string { return `a duration must be a string such as "1.5s"` }

// MarshalJSON implements json.Marshaler.
func (d duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *duration) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		return durationError{}
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return durationError{}
	}
	*d = duration(v)
	return nil
}
