package dispatch

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

// replayHeader is the extension attribute of an event that is delivered anew because somebody asked for it.
const replayHeader = "Ce-Replay"

// Headers of Standard Webhooks.
const (
	webhookIDHeader        = "webhook-id"
	webhookTimestampHeader = "webhook-timestamp"
	webhookSignatureHeader = "webhook-signature"
)

// outcome of an attempt, as the metric's label.
type outcome string

const (
	outcomeDelivered  outcome = "delivered"
	outcomeRedirected outcome = "redirected"
	outcomeThrottled  outcome = "throttled" // 429
	outcomeRefused    outcome = "refused"   // 4xx, but for those that ask to be tried again
	outcomeFailed     outcome = "failed"    // 5xx and what HTTP does not know
	outcomeTimeout    outcome = "timeout"
	outcomeNetwork    outcome = "network"
	outcomeAddress    outcome = "forbidden_address"
	outcomeUnresolved outcome = "unresolved"
	outcomeUnread     outcome = "unread"    // the API server did not say where the sink is, or with what credentials
	outcomeInvalid    outcome = "invalid"   // not to be written as a CloudEvent
	outcomeUnwanted   outcome = "unwanted"  // filtered: there was no attempt
	outcomeCancelled  outcome = "cancelled" // by us: the sink changed, or we stop
)

// shows says whether an attempt that failed shows all the same that the sink is there and does its work.
func (o outcome) shows() bool { return o == outcomeRefused || o == outcomeInvalid }

// result of an attempt.
type result struct {
	outcome outcome
	// problem is for the log: it holds no URL and nothing that the sink answered.
	problem string
	// retryAfter is what the sink asked for; 0 if nothing. Of what is unread, it is until the API server is asked again.
	retryAfter time.Duration
	// target is where it went, for the log; "" if nowhere.
	target string
	// forbidden is what the operator may not read, of what is unread for that; "" if the API server could not be asked.
	forbidden string
	// trace is the id of the event's trace, for the log.
	trace string
	// status is what it answered; 0 if nothing.
	status int
}

// denied says that the sink did not take the credentials, or may not have.
func (r result) denied() bool {
	return r.status == http.StatusUnauthorized || r.status == http.StatusForbidden
}

// deliver makes one attempt, which takes place at place in the event's trace.
func (d *Dispatcher) deliver(
	ctx context.Context, target sink.Target, event cloudevent.Event, place tracecontext.Context, replay bool, timeout time.Duration,
) result {
	attempt, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if target.Address.IsValid() {
		attempt = dialAt(attempt, target.Address)
	}
	request, err := http.NewRequestWithContext(attempt, http.MethodPost, target.URL.String(), bytes.NewReader(event.Data))
	if err != nil {
		return result{outcome: outcomeUnresolved, problem: "the sink's URL cannot be requested"}
	}
	request.Header = event.Header()
	request.Header.Set("User-Agent", d.opts.UserAgent)
	place.Set(request.Header)
	// Not sent: it has net/http try once more where the sink had closed the idle connection that was used. Events bear that by their ids.
	request.Header["Idempotency-Key"] = nil
	if replay {
		request.Header.Set(replayHeader, "true")
	}
	now := d.opts.Clock.Now()
	if target.SigningKey != nil {
		request.Header.Set(webhookIDHeader, event.ID)
		request.Header.Set(webhookTimestampHeader, strconv.FormatInt(now.Unix(), 10))
		request.Header.Set(webhookSignatureHeader, target.SigningKey.Sign(event.ID, now, event.Data))
	}
	if target.BearerToken != "" {
		request.Header.Set("Authorization", "Bearer "+target.BearerToken.Reveal())
	}
	client := d.services
	if target.Guarded {
		client = d.public
	}
	response, err := client.Do(request)
	if err != nil {
		return failure(ctx, attempt, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusSwitchingProtocols { // then what follows is a connection, whose reading nothing would end
		_, _ = io.CopyN(io.Discard, response.Body, maxResponseBody)
	}
	return judge(response, d.opts.Clock.Now())
}

// judge reads an answer.
func judge(response *http.Response, now time.Time) result {
	r := result{status: response.StatusCode, retryAfter: retryAfterOf(response.Header, now), problem: fmt.Sprintf("it answered %d", response.StatusCode)}
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		return result{outcome: outcomeDelivered, status: code}
	case code >= 300 && code < 400:
		r.outcome, r.problem = outcomeRedirected, r.problem+": redirects are not followed"
	case code == http.StatusTooManyRequests:
		r.outcome = outcomeThrottled
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		r.outcome = outcomeFailed
	case code >= 400 && code < 500:
		r.outcome = outcomeRefused
	default:
		r.outcome = outcomeFailed
	}
	return r
}

// failure says why there was no answer.
func failure(ctx, attempt context.Context, err error) result {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // the outer one repeats the URL
	}
	var address *sink.AddressError
	switch {
	case errors.As(err, &address):
		return result{outcome: outcomeAddress, problem: address.Error()}
	case ctx.Err() != nil:
		return result{outcome: outcomeCancelled, problem: "the attempt was given up"}
	case errors.Is(attempt.Err(), context.DeadlineExceeded):
		return result{outcome: outcomeTimeout, problem: "it did not answer in time"}
	default:
		return result{outcome: outcomeNetwork, problem: networkProblem(err)}
	}
}

// networkProblem describes an error of the network. Of other errors it gives the type only: net/http quotes what it could not read.
func networkProblem(err error) string {
	var operation *net.OpError
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &dns):
		return dns.Error()
	case errors.As(err, &operation):
		return operation.Error()
	case errors.As(err, &certificate):
		return certificate.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it closed the connection without an answer"
	default:
		return fmt.Sprintf("the request failed (%T)", err)
	}
}
