package messagingapi

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
	"github.com/tiktok-operator/tiktok-operator/internal/conversation"
)

const (
	defaultLimit = 20
	maxLimit     = 100
)

// pageQuery asks for a page.
type pageQuery struct {
	limit int
	// from is where the page begins, as an earlier answer said; "" for the first.
	from string
}

func parsePage(values url.Values) (pageQuery, error) {
	q := pageQuery{limit: defaultLimit}
	if err := onlyParameters(values, "limit", "continue"); err != nil {
		return q, err
	}
	q.from = values.Get("continue")
	if values.Has("limit") {
		var err error
		if q.limit, err = strconv.Atoi(values.Get("limit")); err != nil || q.limit < 1 || q.limit > maxLimit {
			return q, problem.Invalid(fmt.Sprintf("limit is a number from 1 to %d.", maxLimit))
		}
	}
	return q, nil
}

// onlyParameters refuses parameters that are not known, which would be ignored in silence, and those that are given twice.
func onlyParameters(values url.Values, known ...string) error {
	for name, given := range values {
		switch {
		case !slices.Contains(known, name) && len(known) == 0:
			return problem.Invalid(fmt.Sprintf("The parameter %.100q is not known: this request has none.", name))
		case !slices.Contains(known, name):
			return problem.Invalid(fmt.Sprintf("The parameter %.100q is not known: %s are.", name, strings.Join(known, ", ")))
		case len(given) > 1:
			return problem.Invalid(fmt.Sprintf("The parameter %s is given more than once.", name))
		}
	}
	return nil
}

func noParameters(r *http.Request) error { return onlyParameters(r.URL.Query()) }

func badContinue() error {
	return problem.Invalid("continue is not what an earlier answer said, or that is no longer good: begin with the first page.")
}

// formatPlace writes a place in the log, which means nothing in another epoch of it.
func formatPlace(sequence uint64, epoch int64) string {
	return strconv.FormatUint(sequence, 10) + "-" + strconv.FormatInt(epoch, 36)
}

// readPlace reads what formatPlace wrote.
func readPlace(text string) (sequence uint64, epoch int64, ok bool) {
	first, second, _ := strings.Cut(text, "-")
	sequence, err := strconv.ParseUint(first, 10, 64)
	if err != nil || sequence == 0 {
		return 0, 0, false
	}
	epoch, err = strconv.ParseInt(second, 36, 64)
	return sequence, epoch, err == nil && formatPlace(sequence, epoch) == text
}

// parsePlace reads where a page of conversations begins.
func parsePlace(text string, epoch int64) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	sequence, of, ok := readPlace(text)
	if !ok || of != epoch {
		return 0, badContinue()
	}
	return sequence, nil
}

// formatMessage writes after which message a page begins. Numbers of messages would not do: they change with each new message.
func formatMessage(m conversation.Message) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", m.At.UnixNano(), nameOf(m)))
}

// nameOf is what identifies a message in a page.
func nameOf(m conversation.Message) string {
	if m.ID != "" {
		return m.ID
	}
	return m.SendID
}

func readMessageToken(text string) (at time.Time, id string, ok bool) {
	plain, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return time.Time{}, "", false
	}
	nanos, id, ok := strings.Cut(string(plain), " ")
	if !ok {
		return time.Time{}, "", false
	}
	n, err := strconv.ParseInt(nanos, 10, 64)
	return time.Unix(0, n), id, err == nil
}

// following are the messages after the one that a page begins after. If that is gone, those that are older.
func following(all []conversation.Message, text string) ([]conversation.Message, error) {
	if text == "" {
		return all, nil
	}
	at, id, ok := readMessageToken(text)
	if !ok {
		return nil, badContinue()
	}
	i := slices.IndexFunc(all, func(m conversation.Message) bool { return nameOf(m) == id && m.At.Equal(at) })
	if i >= 0 {
		return all[i+1:], nil
	}
	if i = slices.IndexFunc(all, func(m conversation.Message) bool { return m.At.Before(at) }); i < 0 {
		return nil, nil
	}
	return all[i:], nil
}
