package problem

import "net/http"

// Error is a problem that is the caller's to see.
type Error struct{ Problem }

// Error implements error.
func (e *Error) Error() string { return e.Detail }

// Invalid says that a request is not understood.
func Invalid(detail string) error {
	return &Error{Problem{Name: "invalid-request", Status: http.StatusBadRequest, Title: "The request is not understood", Detail: detail}}
}

// NotFound says that what a request is about does not exist.
func NotFound(detail string) error {
	return &Error{Problem{Name: "not-found", Status: http.StatusNotFound, Title: "Not found", Detail: detail}}
}
