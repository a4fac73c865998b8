// Package problem writes errors of the HTTP API as RFC 9457 problem details. It owns the format; the packages that serve the API own their
// problems.
package problem

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"strconv"
	"time"
)

// TypePrefix begins the type of every problem. A type is a stable name and need not be an address that answers.
const TypePrefix = "https://tiktok-operator.io/problems/"

// ContentType of a problem.
const ContentType = "application/problem+json"

// Problem is one error. Everything in it is shown to the client.
type Problem struct {
	// Name is the last part of the type: lower-case words with hyphens. It is stable.
	Name string
	// Status is the HTTP status.
	Status int
	// Title is the same for all problems of a type.
	Title string
	// Detail is about this one: what happened, and what to do.
	Detail string
	// RetryAfter is when the request may be made again; zero says nothing about it.
	RetryAfter time.Duration
	// Members of the problem besides these, by their names.
	Members map[string]any
}

// Write answers with a problem.
func Write(w http.ResponseWriter, p Problem) {
	members := map[string]any{}
	maps.Copy(members, p.Members)
	members["type"], members["title"], members["status"] = TypePrefix+p.Name, p.Title, p.Status
	if p.Detail != "" {
		members["detail"] = p.Detail
	}
	body, err := json.Marshal(members)
	if err != nil { // plain values: cannot be
		http.Error(w, p.Title, p.Status)
		return
	}
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter.Seconds()))))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n'))
}
