package simulator

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

const maxBody = 1 << 20

// unknownEndpoint is how calls of paths that the API does not have are counted, so that a scan cannot grow the counts.
const unknownEndpoint = "(unknown)"

// api answers every call under the API's base URL.
func (s *Simulator) api(w http.ResponseWriter, r *http.Request) {
	id := "2026" + s.number()
	w.Header().Set("X-Tt-Logid", id)
	name := strings.TrimPrefix(r.URL.Path, apiPrefix)
	entry := Call{Time: s.opts.Clock.Now(), Method: r.Method, Endpoint: name, RequestID: id}
	e, known := s.endpoints[name]
	switch {
	case !known: // also a path without its final slash
		entry.Endpoint, entry.Status = unknownEndpoint, http.StatusNotFound
		entry.Parameters = map[string]string{"path": clip(r.URL.Path, maxValue)}
		s.record(entry)
		http.Error(w, "404 page not found", http.StatusNotFound)
		return
	case r.Method != e.method:
		entry.Status = http.StatusMethodNotAllowed
		s.record(entry)
		w.Header().Set("Allow", e.method)
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
		return
	}
	// The body is read before anything else: only then does the server notice that a client left while a fault lets it wait.
	body, bodyErr := io.ReadAll(http.MaxBytesReader(w, r.Body, e.maxBody()))
	fault := s.faults.take(name)
	if !s.delay(r.Context(), fault.Latency) {
		s.record(entry) // status 0: nobody was answered
		panic(http.ErrAbortHandler)
	}
	c, seen, fail := decode(r, body, bodyErr, name, e)
	c.now = s.opts.Clock.Now()
	entry.Parameters = seen
	if fault.insteadOfAnswer() {
		a := fault.replacement(id)
		entry.Status, entry.Code = a.status, a.code
		s.record(entry)
		a.write(w)
		return
	}
	a := s.process(c, e, fail, id)
	entry.Status, entry.Code = a.status, a.code
	s.record(entry)
	if s.opts.AfterProcess != nil {
		s.opts.AfterProcess(name)
	}
	s.disturb(r.Context(), fault, &a)
	a.write(w)
}

// process does what the call asks for. The order is TikTok's gate: rate, form, app, token, then the endpoint itself.
func (s *Simulator) process(c *call, e endpoint, malformed *failure, requestID string) answer {
	if s.limiter != nil && !s.limiter.AllowN(c.now, 1) {
		return envelope(requestID, nil, refuse(codeThrottled, "Too many requests. Please retry in some time."))
	}
	fail := malformed
	if fail == nil {
		fail = s.authenticate(c, e)
	}
	var data any
	if fail == nil {
		data, fail = e.handle(s, c)
	}
	return envelope(requestID, data, fail)
}

func (s *Simulator) record(c Call) {
	s.calls.add(c)
	s.log.V(1).Info("Answered an API call", "method", c.Method, "endpoint", c.Endpoint, "status", c.Status, "code", c.Code,
		"requestID", c.RequestID)
}

// answer is what goes over the wire.
type answer struct {
	status, code      int
	contentType, body string
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", a.contentType)
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body) // a client that left needs no answer
}

// envelope is TikTok's own answer: failures too have HTTP status 200.
func envelope(requestID string, data any, fail *failure) answer {
	out := struct {
		Code      int    `json:"code"`
		Message   string `json:"message"`
		RequestID string `json:"request_id"`
		Data      any    `json:"data"`
	}{codeOK, "OK", requestID, data}
	if fail != nil {
		out.Code, out.Message, out.Data = fail.code, fail.message, nil
	}
	if out.Data == nil {
		out.Data = struct{}{}
	}
	body, err := json.Marshal(out)
	if err != nil { // data is made of strings, numbers and maps of them
		return answer{http.StatusInternalServerError, 0, "text/plain", "the answer could not be encoded"}
	}
	return answer{http.StatusOK, out.Code, "application/json", string(body)}
}
