package simulator

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

// Options of a Simulator.
type Options struct {
	// AppID and AppSecret of the one app that it knows. Default: sim-app and sim-secret.
	AppID, AppSecret string
	// AccessTokenTTL and RefreshTokenTTL are the lives of tokens. Default: a day and a year. The API tells them in whole seconds.
	AccessTokenTTL, RefreshTokenTTL time.Duration
	// RateLimit is how many API calls a second are answered, with a burst of as many; the others get code 40100. Zero answers all.
	RateLimit float64
	// AutoConsent grants at once instead of showing the consent page.
	AutoConsent bool
	// Clock decides about expiry, latency and the retries of webhooks. Default: the real one.
	Clock clock.WithTicker
	// Log is told of consents, webhooks and changes by the admin API, at level 1 also of every API call; never of a token, a code or a
	// secret. Default: none.
	Log logr.Logger
	// HTTPClient delivers webhooks; redirects are not followed. Default: one with a timeout of 10 seconds.
	HTTPClient *http.Client
	// RetryBase is the first wait before a webhook that was not answered 200 is sent again; it doubles. Default: 1s.
	RetryBase time.Duration
	// AfterProcess, if set, is called with the endpoint when a call was processed (its effects are in place and it is in the log of calls)
	// and before its answer is written. It runs on the call's goroutine: as long as it does not return there is no answer.
	AfterProcess func(endpoint string)
}

// Simulator is an http.Handler that behaves like TikTok. It is safe for concurrent use. Make one with New, and Close it.
type Simulator struct {
	opts    Options
	log     logr.Logger
	mux     *http.ServeMux
	limiter *rate.Limiter // nil: no limit
	// endpoints is never changed.
	endpoints map[string]endpoint

	app            appState
	accounts       accounts
	consents       consents
	codes          codes
	authorizations *authorizations
	webhooks       webhooks
	conversations  conversations
	media          mediaStore
	calls          callLog
	faults         faultQueue
	deliveries     deliveryLog
	deliverer      *http.Client
	retries        chan struct{} // a slot for each retry that is under way
	life           lifecycle
	sequence       atomic.Int64
}

// New returns a Simulator that serves at once.
func New(opts Options) *Simulator {
	opts.AppID = cmp.Or(opts.AppID, "sim-app")
	opts.AppSecret = cmp.Or(opts.AppSecret, "sim-secret")
	opts.AccessTokenTTL = cmp.Or(opts.AccessTokenTTL, 24*time.Hour)
	opts.RefreshTokenTTL = cmp.Or(opts.RefreshTokenTTL, 365*24*time.Hour)
	opts.RetryBase = cmp.Or(opts.RetryBase, time.Second)
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.Log.GetSink() == nil {
		opts.Log = logr.Discard()
	}
	s := &Simulator{
		opts: opts, log: opts.Log, mux: http.NewServeMux(),
		authorizations: newAuthorizations(opts.AccessTokenTTL, opts.RefreshTokenTTL),
		deliverer:      deliverer(opts.HTTPClient),
		retries:        make(chan struct{}, concurrentRetries),
	}
	if opts.RateLimit > 0 {
		s.limiter = rate.NewLimiter(rate.Limit(opts.RateLimit), max(1, int(opts.RateLimit)))
	}
	s.endpoints = endpoints()
	s.calls.reset()
	s.deliveries.ring.size = maxDeliveries
	s.app.secret, s.app.enabled = opts.AppSecret, true
	s.consents.auto = opts.AutoConsent
	s.accounts.put(DefaultBusiness)
	s.life.begin()
	s.routes()
	return s
}

func (s *Simulator) routes() {
	s.mux.HandleFunc("/{$}", s.index)
	s.mux.HandleFunc("/favicon.ico", icon)
	for _, path := range []string{authorizePath, authorizePath + "/{$}"} {
		s.mux.HandleFunc(path, s.authorize)
	}
	s.mux.HandleFunc(userPath, s.userPage)
	s.mux.HandleFunc(userPath+"/media", s.userMedia)
	s.mux.HandleFunc(mediaPath+"{key}", s.serveMedia)
	s.adminRoutes()
}

// ServeHTTP implements http.Handler.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Not by the mux: it would redirect paths that are not clean, and TikTok answers 404.
	if strings.HasPrefix(r.URL.Path, apiPrefix) {
		s.api(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Close ends deliveries, retries and answers that hang, and waits for what runs in the background. Calls are still answered.
func (s *Simulator) Close() { s.life.end() }

// number is unlike every other one of this Simulator and looks like TikTok's ids.
func (s *Simulator) number() string {
	return fmt.Sprintf("%d", 7_500_000_000_000_000_000+s.sequence.Add(1))
}
