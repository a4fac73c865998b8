package conversations

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// maxEvent is as long as a line of the stream may be.
const maxEvent = 4 << 20

// outputError says that an event could not be printed: asking for it again is of no use.
type outputError struct{ err error }

func (e *outputError) Error() string { return "writing: " + e.err.Error() }
func (e *outputError) Unwrap() error { return e.err }

// events prints the data of a stream of server-sent events, a line each, and returns the id of the last one that it printed whole.
func events(in io.Reader, out io.Writer, last string) (string, error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxEvent)
	id, data := "", []string{}
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			id = value
		case "data":
			data = append(data, value)
		case "": // an empty line ends an event; a comment begins with the colon
			if lines.Text() != "" || len(data) == 0 {
				continue
			}
			if _, err := fmt.Fprintln(out, strings.Join(data, " ")); err != nil {
				return last, &outputError{err}
			}
			if id != "" {
				last = id
			}
			data = data[:0]
		}
	}
	return last, lines.Err()
}
