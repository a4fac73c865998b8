package ingest

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/sync/semaphore"
)

// bodies reads bodies of requests within MaxBodies.
type bodies struct{ large *semaphore.Weighted }

func newBodies() *bodies { return &bodies{large: semaphore.NewWeighted(MaxBodies)} }

// read reads a request's body. What it returns takes room until done is called.
func (b *bodies) read(w http.ResponseWriter, r *http.Request) (body []byte, done func(), refused *answer) {
	if r.ContentLength > MaxBody {
		return nil, nil, tooLarge()
	}
	reader, expected := io.Reader(r.Body), r.ContentLength
	if expected < 0 { // it is not told: net/http ends the body nowhere
		reader, expected = http.MaxBytesReader(w, r.Body, MaxBody), smallBody
	}
	held := int64(0)
	done = func() { b.large.Release(held) }
	// What is announced costs nothing before it has come. The byte more is for the end to be seen without growing.
	body = make([]byte, 0, min(expected, smallBody)+1)
	for {
		n, err := reader.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			return body, done, nil
		}
		if err != nil {
			done()
			var limit *http.MaxBytesError
			if errors.As(err, &limit) {
				return nil, nil, tooLarge()
			}
			return nil, nil, &answer{status: http.StatusBadRequest, outcome: outcomeIncomplete, text: "The request ended before its body did."}
		}
		if len(body) < cap(body) {
			continue
		}
		more := int64(min(cap(body), MaxBody+1-cap(body)))
		if !b.large.TryAcquire(more) {
			done()
			return nil, nil, &answer{
				status: http.StatusServiceUnavailable, outcome: outcomeBusy, text: "Too many large webhooks come at once.",
				cause: fmt.Errorf("all requests together hold %d MiB of bodies, which is as much as they may", MaxBodies>>20),
			}
		}
		held += more
		body = append(make([]byte, 0, int64(cap(body))+more), body...)
	}
}

func tooLarge() *answer {
	return &answer{
		status: http.StatusRequestEntityTooLarge, outcome: outcomeTooLarge, text: fmt.Sprintf("A webhook may have %d bytes at most.", MaxBody),
	}
}
