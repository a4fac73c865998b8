package messagingapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/messagingapi"
	"github.com/tiktok-operator/tiktok-operator/internal/messagingapi/messagingapitest"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound/outboundtest"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// reading is the reading half of the API behind HTTP, without access control.
type reading struct {
	*served
	// end is the end of the process.
	end context.CancelFunc
}

func serveReading(t *testing.T, change ...func(*messagingapi.Streams)) *reading {
	t.Helper()
	return serveReadingOn(t, outboundtest.New(t), change...)
}

// serveReadingOn serves the whole API on a bench.
func serveReadingOn(t *testing.T, b *outboundtest.Bench, change ...func(*messagingapi.Streams)) *reading {
	t.Helper()
	return serveWithin(t, b, time.Minute, change...)
}

// shortly is what a server lets short calls take in the tests of what takes longer, which must know to live with that.
const shortly = 2 * time.Second

// serveWithin serves the whole API on a bench, by a server that lets a call take no longer, unless its handler does.
func serveWithin(t *testing.T, b *outboundtest.Bench, limit time.Duration, change ...func(*messagingapi.Streams)) *reading {
	t.Helper()
	api, streams := messagingapitest.New(b, messaging.Lenient, testr.New(t))
	for _, f := range change {
		f(streams)
	}
	mux := http.NewServeMux()
	for _, route := range messagingapitest.Routes(api) {
		mux.Handle(route.Pattern, route.Handle)
	}
	server := httptest.NewUnstartedServer(mux)
	server.Config.ReadTimeout, server.Config.WriteTimeout = limit, limit
	server.Start()
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- streams.Start(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		server.CloseClientConnections()
		server.Close()
	})
	return &reading{&served{Bench: b, url: server.URL + "/v1/namespaces/shop/channels/main"}, end}
}

// tell lets something happen at TikTok.
func (s *reading) tell(e simulator.Event) simulator.Delivery {
	s.Helper()
	s.Clock.Step(time.Second) // no two at the same time
	e.Business = outboundtest.Shop
	d, err := s.Sim.SendEvent(s.Context(), e)
	if err != nil || d.Status != http.StatusOK {
		s.Fatalf("%v %+v", err, d)
	}
	return d
}

// get asks for something below the channel.
func (s *reading) get(path string) reply {
	s.Helper()
	return s.do(http.MethodGet, s.url+path, "", nil, nil)
}

// into asks for something that there is.
func (s *reading) into(path string, answer any) {
	s.Helper()
	r := s.get(path)
	if r.status != http.StatusOK || r.header.Get("Content-Type") != "application/json" || r.header.Get("Cache-Control") != "no-store" {
		s.Fatalf("%s: %d %v %s", path, r.status, r.header, r.body)
	}
	if err := json.Unmarshal(r.body, answer); err != nil {
		s.Fatal(err)
	}
}

// wantProblem asks for something that is refused.
func (s *reading) wantProblem(path string, status int, name string) (detail string) {
	s.Helper()
	r := s.get(path)
	got, detail := r.problem(s.TB)
	if r.status != status || got != name {
		s.Errorf("%s: %d %s (%s), want %d %s", path, r.status, got, detail, status, name)
	}
	return detail
}

// endpoint changes where TikTok is.
func (s *reading) endpoint(url string) {
	s.Helper()
	app := &v1alpha1.TiktokApp{}
	if err := s.Cluster.Get(s.Context(), client.ObjectKey{Name: "app"}, app); err != nil {
		s.Fatal(err)
	}
	app.Spec.Endpoints.API = url + "/open_api/v1.3/"
	if err := s.Cluster.Update(s.Context(), app); err != nil {
		s.Fatal(err)
	}
}

var changeNothing outboundtest.Change

const capabilityPath = "business/message/capabilities/get/"
