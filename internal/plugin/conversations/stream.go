package conversations

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// maxEvent is as long as a line of the stream may be.
const maxEvent = 4 << 20

// events prints the data of a stream of server-sent events, a line each, and returns the id of the last one.
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
				return last, fmt.Errorf("writing: %w", err)
			}
			if id != "" {
				last = id
			}
			data = data[:0]
		}
	}
	return last, lines.Err()
}
