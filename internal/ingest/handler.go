package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
	"github.com/tiktok-operator/tiktok-operator/internal/tracing"
)

// DefaultTolerance is how old a webhook's signature may be: as long as TikTok retries, and how far a clock may be off.
func DefaultTolerance() tiktok.Tolerance {
	return tiktok.Tolerance{Past: 72 * time.Hour, Future: 5 * time.Minute}
}

// EventLog stores events. *eventlog.Log is one.
type EventLog interface {
	Append(ctx context.Context, r eventlog.Record) (eventlog.Result, error)
	RouteUnrouted(ctx context.Context, app, businessID, channelUID string, each func(context.Context, eventlog.Record) error) (int, error)
	Unrouted(ctx context.Context) (waits func(app, businessID string) bool, err error)
	LeftByOthers(ctx context.Context, app, businessID string) (bool, error)
	AddJob(ctx context.Context, j eventlog.Job) error
}

// webhookRoute is the path of webhooks, as spans name it.
const webhookRoute = "/webhooks/{app}"

// Options of a Handler.
type Options struct {
	// Reader reads apps and channels from the cache; channels by BusinessIndex.
	Reader client.Reader
	// Directory is asked before the Reader, which costs more; nil means that it is not.
	Directory *Directory
	// Credentials reads app secrets.
	Credentials CredentialSource
	Log         EventLog
	// Router routes events that arrived before their channel; the one that is registered as a controller.
	Router *Router
	// Tolerance of a signature's age; zero means DefaultTolerance.
	Tolerance tiktok.Tolerance
	// Clock; nil means the real one.
	Clock clock.PassiveClock
	// Registerer of the metrics; nil means none.
	Registerer prometheus.Registerer
	// Tracer records verified webhooks; nil records none.
	Tracer *tracing.Tracer
	Logger logr.Logger
}

// Handler is the webhook endpoint. It answers 200 for what is stored (or was before), 4xx where the sender is at fault, 5xx where we are and
// TikTok should try again.
type Handler struct {
	opts     Options
	verifier *verifier
	metrics  *metrics
	bodies   *bodies
}

// New makes a Handler.
func New(opts Options) (*Handler, error) {
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.Tolerance == (tiktok.Tolerance{}) {
		opts.Tolerance = DefaultTolerance()
	}
	if opts.Logger.GetSink() == nil {
		opts.Logger = logr.Discard()
	}
	m, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, err
	}
	return &Handler{opts: opts, verifier: newVerifier(opts.Credentials, opts.Tolerance), metrics: m, bodies: newBodies()}, nil
}

// answer is what the sender is told, and what is counted.
type answer struct {
	status  int
	outcome outcome
	// text is a sentence for the sender of what is not stored.
	text string
	// cause is for our log; it is not shown.
	cause error
	// app is the app's name once it is known to exist.
	app string
	// eventType is the CloudEvent type of a verified event.
	eventType string
	// trace is the id of a verified event's trace.
	trace string
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.opts.Clock.Now()
	a := h.serve(w, r, start)
	h.metrics.requests.WithLabelValues(a.app, string(a.outcome)).Inc()
	if a.eventType != "" {
		h.metrics.events.WithLabelValues(a.app, a.eventType, string(a.outcome)).Inc()
	}
	defer func() { h.metrics.duration.Observe(h.opts.Clock.Since(start).Seconds()) }()
	if a.status == http.StatusOK { // the status says it all, a thousand times a second
		if log := h.opts.Logger.V(1); log.Enabled() {
			log.Info("a webhook was accepted", "app", a.app, "type", a.eventType, "outcome", a.outcome, "traceID", a.trace)
		}
		w.WriteHeader(a.status)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	switch a.status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.text+"\n")
	if a.status >= http.StatusInternalServerError {
		h.opts.Logger.Error(a.cause, "a webhook was not stored; TikTok will send it again", "app", a.app, "outcome", a.outcome, "traceID", a.trace)
		return
	}
	h.opts.Logger.V(1).Info("a webhook was refused", "app", a.app, "outcome", a.outcome, "status", a.status, "reason", a.text)
}

// serve does the steps in their order: method, size, body, app, signature, decoding, channel, storing.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, start time.Time) answer {
	name, ok := AppOf(r.URL.Path)
	if !ok {
		return answer{status: http.StatusNotFound, outcome: outcomeUnknownApp, text: "There is no webhook at this path."}
	}
	if r.Method != http.MethodPost {
		return answer{status: http.StatusMethodNotAllowed, outcome: outcomeMethod, text: "Webhooks are sent with POST."}
	}
	body, done, refused := h.bodies.read(w, r)
	if refused != nil {
		return *refused
	}
	defer done()
	app, err := h.app(r.Context(), name)
	if apierrors.IsNotFound(err) {
		return answer{status: http.StatusNotFound, outcome: outcomeUnknownApp, text: "There is no TiktokApp of this name."}
	}
	if err != nil {
		return unavailable(fmt.Errorf("looking for the app: %w", err))
	}
	a := h.verified(r, app, body, start)
	a.app = app.Name
	return a
}

// app is the app of a name, which is only to be read.
func (h *Handler) app(ctx context.Context, name string) (*v1alpha1.TiktokApp, error) {
	if app := h.opts.Directory.App(name); app != nil {
		return app, nil
	}
	// A cache that has not been asked for apps yet asks the API server, however long that takes.
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var app v1alpha1.TiktokApp
	if err := h.opts.Reader.Get(ctx, types.NamespacedName{Name: name}, &app, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	return &app, nil
}

// channel is the channel that holds the business, which is only to be read; nil if there is none.
func (h *Handler) channel(ctx context.Context, app, business string) (*v1alpha1.TiktokChannel, error) {
	if ch := h.opts.Directory.Channel(app, business); ch != nil {
		return ch, nil
	}
	return ChannelOf(ctx, h.opts.Reader, app, business)
}

// verified goes on once the app is known.
func (h *Handler) verified(r *http.Request, app *v1alpha1.TiktokApp, body []byte, start time.Time) answer {
	now := h.opts.Clock.Now()
	err := h.verifier.verify(r.Context(), app, r.Header.Get(tiktok.SignatureHeader), body, now)
	var noCredentials *credentialsError
	switch {
	case err == nil:
	case errors.As(err, &noCredentials):
		return answer{
			status: http.StatusServiceUnavailable, outcome: outcomeNoCredentials, cause: err,
			text: "The signature cannot be checked at the moment.",
		}
	case errors.Is(err, tiktok.ErrTooOld):
		return answer{
			status: http.StatusUnauthorized, outcome: outcomeBadTime,
			text: fmt.Sprintf("The signature is older than %s.", h.opts.Tolerance.Past),
		}
	case errors.Is(err, tiktok.ErrInFuture):
		return answer{
			status: http.StatusUnauthorized, outcome: outcomeBadTime,
			text: fmt.Sprintf("The signature is more than %s in the future: a clock is wrong.", h.opts.Tolerance.Future),
		}
	default:
		return answer{
			status: http.StatusUnauthorized, outcome: outcomeBadSignature,
			text: "The " + tiktok.SignatureHeader + " header is missing, malformed, or made with another secret.",
		}
	}
	envelope, id, conversation, err := cloudevent.Decode(body)
	if err != nil {
		return answer{status: http.StatusBadRequest, outcome: outcomeUndecodable, text: "The webhook cannot be decoded: " + err.Error() + "."}
	}
	// The sender has the app's secret, so this is no forgery: the request is wrong, not its authentication.
	if envelope.ClientKey != "" && envelope.ClientKey != app.Spec.AppID {
		return answer{
			status: http.StatusBadRequest, outcome: outcomeWrongApp,
			text: "The client_key is not the appID of this TiktokApp: the webhook is registered at another app's URL.",
		}
	}
	// Nobody who cannot sign may have spans recorded.
	span, trace := h.opts.Tracer.Begin(tracecontext.FromHeader(r.Header), "POST "+webhookRoute, tracing.Server, start)
	if trace.IsZero() {
		trace = tracecontext.New()
	}
	a := h.store(r.Context(), eventlog.Record{
		ID: id, App: app.Name, BusinessID: envelope.UserOpenID, Conversation: conversation, Event: envelope.Event, ReceivedAt: now, Body: body,
		Trace: trace,
	})
	a.trace = trace.TraceID()
	if h.opts.Tracer != nil {
		failure := ""
		if a.status >= http.StatusInternalServerError {
			failure = string(a.outcome)
		}
		span.Set(tracing.MethodKey.String(r.Method), tracing.RouteKey.String(webhookRoute), tracing.StatusKey.Int(a.status),
			tracing.AppKey.String(app.Name), tracing.EventIDKey.String(id), tracing.EventTypeKey.String(cloudevent.TypeOf(envelope.Event)),
			tracing.OutcomeKey.String(string(a.outcome)))
		span.End(failure)
	}
	return a
}

// store puts the event into the log, under its channel if there is one. The sender's going away does not stop that.
func (h *Handler) store(ctx context.Context, record eventlog.Record) answer {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	channel, err := h.channel(ctx, record.App, record.BusinessID)
	if err != nil {
		return unavailable(err)
	}
	direct := false
	if channel != nil {
		// What came before the channel did goes first.
		if direct, err = h.opts.Router.Ready(ctx, channel); err != nil {
			return notStored(err)
		}
		if direct {
			record.ChannelUID = string(channel.UID)
		}
	}
	result, err := h.append(ctx, record)
	if err != nil {
		return notStored(err)
	}
	if direct {
		// For a duplicate too: the first time may have ended here.
		if err := follow(ctx, h.opts.Log, record); err != nil {
			return notStored(err)
		}
	} else {
		// The channel may have appeared, or its earlier events have been routed, while this one was being stored.
		if channel, err = ChannelOf(ctx, h.opts.Reader, record.App, record.BusinessID); err != nil {
			return unavailable(err)
		}
		if channel != nil {
			if err := h.opts.Router.Route(ctx, channel); err != nil {
				return notStored(err)
			}
		}
	}
	a := answer{status: http.StatusOK, outcome: outcomeStored, eventType: cloudevent.TypeOf(record.Event)}
	switch {
	case result.Duplicate:
		a.outcome = outcomeDuplicate
	case channel == nil:
		a.outcome = outcomeUnrouted
	}
	return a
}

func (h *Handler) append(ctx context.Context, record eventlog.Record) (eventlog.Result, error) {
	if h.opts.Tracer == nil {
		return h.opts.Log.Append(ctx, record)
	}
	span, _ := h.opts.Tracer.Begin(record.Trace, "store event", tracing.Producer, h.opts.Clock.Now(), tracing.MessagingKey.String("nats"))
	result, err := h.opts.Log.Append(ctx, record)
	failure := ""
	if err != nil {
		failure = "the event log did not take it"
	}
	span.End(failure)
	return result, err
}

func unavailable(cause error) answer {
	return answer{
		status: http.StatusServiceUnavailable, outcome: outcomeUnavailable, cause: cause,
		text: "The webhook cannot be handled at the moment.",
	}
}

// notStored answers an error of the log.
func notStored(err error) answer {
	var full *eventlog.FullError
	var large *eventlog.TooLargeError
	switch {
	case errors.As(err, &full):
		return answer{
			status: http.StatusServiceUnavailable, outcome: outcomeLogFull, cause: err, text: "The event log is full: nothing was stored.",
		}
	case errors.As(err, &large):
		return answer{
			status: http.StatusRequestEntityTooLarge, outcome: outcomeTooLarge, cause: err, text: "The webhook is larger than the event log takes.",
		}
	default:
		return answer{
			status: http.StatusServiceUnavailable, outcome: outcomeLogUnavailable, cause: err,
			text: "The event log is unavailable: nothing is certain to be stored.",
		}
	}
}
