package tiktok

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxAnswer is how much of an answer is read, in bytes. TikTok's are a few hundred.
	maxAnswer = 1 << 20
	// maxListAnswer is the same for lists of messages: twenty of 6,000 characters, four bytes each and escaped, are more than a MiB.
	maxListAnswer = 4 << 20
	// throttlePause is how long recovery from 40100 is said to take, after an overrun of a minute's quota.
	throttlePause = 5 * time.Minute
	// maxPause bounds what a Retry-After header may ask for.
	maxPause = 24 * time.Hour
)

// complete is what decoded data may implement to say what it lacks; "" if nothing.
type complete interface{ lacks() string }

// decodeAnswer reads TikTok's answer. Failure is a code other than 0, whatever the HTTP status; what has no code was sent by somebody in
// between.
func (c *Client) decodeAnswer(r call, resp *http.Response, out any) *Error {
	e := &Error{Endpoint: r.endpoint, HTTPStatus: resp.StatusCode, LogID: bound(resp.Header.Get("x-tt-logid"), r.secrets)}
	limit := cmp.Or(r.maxAnswer, maxAnswer)
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		e.cause = contextError(err)
		return c.foreign(e, resp, bound("the answer broke off: "+withoutQueries(err.Error()), r.secrets))
	}
	if int64(len(body)) > limit {
		return c.foreign(e, resp, fmt.Sprintf("the answer is longer than %d MiB", limit>>20))
	}
	var answer struct {
		Code      code            `json:"code"`
		Message   text            `json:"message"`
		RequestID text            `json:"request_id"`
		Data      json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || !answer.Code.known {
		return c.foreign(e, resp, describe(body, resp.Header.Get("Content-Type"), r.secrets))
	}
	e.Code = answer.Code.value
	e.Message = bound(string(answer.Message), r.secrets)
	e.RequestID = bound(string(answer.RequestID), r.secrets)
	if e.Code != codeOK || resp.StatusCode >= http.StatusMultipleChoices {
		e.Class = classify(resp.StatusCode, e.Code)
		e.RetryAfter = retryAfter(resp.Header, e.Class, c.config.Clock.Now())
		return e
	}
	if err := decodeData(answer.Data, out); err != nil {
		e.Class, e.Message = ClassMalformed, err.Error()
		return e
	}
	return nil
}

// foreign completes the error of an answer that is no envelope of TikTok's. A refusal counts only if it bears TikTok's mark: a proxy's 401 or
// 403 must not cost a business its authorization.
func (c *Client) foreign(e *Error, resp *http.Response, message string) *Error {
	e.Message, e.Class = message, classify(resp.StatusCode, codeOK)
	switch e.Class {
	case ClassTransient, ClassRateLimited:
	default:
		if e.LogID == "" {
			e.Class = ClassMalformed
		}
	}
	e.RetryAfter = retryAfter(resp.Header, e.Class, c.config.Clock.Now())
	return e
}

// describe says what came instead of an envelope, without quoting it: it may be anything, also an echo of the request.
func describe(body []byte, contentType string, secrets []Secret) string {
	if len(bytes.TrimSpace(body)) == 0 {
		return "the answer is empty"
	}
	if contentType = bound(contentType, secrets); contentType == "" {
		contentType = "no content type"
	}
	if json.Valid(body) {
		return "the answer is JSON without a code (" + contentType + "), so not TikTok's"
	}
	return "the answer is not TikTok's, or not all of it (" + contentType + ")"
}

// decodeData reads the data of a success. An empty list, string or nothing at all is data without fields. Errors quote none of it: it holds
// tokens.
func decodeData(data json.RawMessage, out any) error {
	if out == nil {
		return nil
	}
	switch string(bytes.TrimSpace(data)) {
	case "", "null", "[]", `""`:
		data = json.RawMessage("{}")
	}
	if err := json.Unmarshal(data, out); err != nil {
		return errors.New("the data of the answer cannot be decoded")
	}
	if c, ok := out.(complete); ok {
		if missing := c.lacks(); missing != "" {
			return errors.New("the data of the answer lacks " + missing)
		}
	}
	return nil
}

// retryAfter is how long to pause after too many requests: what the header says, in seconds or as a date, else what is known of TikTok.
func retryAfter(header http.Header, class Class, now time.Time) time.Duration {
	if class != ClassRateLimited {
		return 0
	}
	value := strings.TrimSpace(header.Get("Retry-After"))
	var pause time.Duration
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		pause = time.Duration(min(max(seconds, 0), int64(maxPause/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		pause = min(at.Sub(now), maxPause)
	}
	if pause <= 0 {
		return throttlePause
	}
	return pause
}
