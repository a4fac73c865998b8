package sinkapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/sinkapi"
)

const uid = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"

func TestSinks(t *testing.T) {
	log, err := eventlog.Open(t.Context(), eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var stored []*eventlog.Stored
	for i := range 6 { // of conversation a: 0, 2 and 4
		result, err := log.Append(t.Context(), eventlog.Record{
			ID: fmt.Sprint("evt_", i), App: "app", BusinessID: "biz", ChannelUID: uid, Conversation: string(rune('a' + i%2)),
			ReceivedAt: begun.Add(time.Duration(i) * time.Minute), Body: []byte("{}"),
		})
		if err != nil {
			t.Fatal(err)
		}
		events, _, err := log.Events(t.Context(), eventlog.Query{
			ChannelUID: uid, After: eventlog.Position{Sequence: result.Sequence - 1}, Limit: 1, MaxBytes: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, events...)
	}
	for sink, state := range map[string]eventlog.SinkState{
		"done": {Position: eventlog.Position{Sequence: stored[5].Sequence}},
		"late": {Position: eventlog.Position{Sequence: stored[1].Sequence}},
		"stuck": { // conversation a has been waiting since its second event
			Position: eventlog.Position{Sequence: stored[4].Sequence},
			Behind:   map[string]eventlog.Undone{stored[2].Lane: {Sequence: stored[2].Sequence}},
		},
	} {
		state.Namespace, state.Name, state.ChannelUID, state.Sink = "shop", "main", uid, sink
		if err := log.SaveSink(t.Context(), state); err != nil {
			t.Fatal(err)
		}
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	ch := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", UID: uid}}
	for _, name := range []string{"done", "late", "stuck", "new"} {
		ch.Spec.Sinks = append(ch.Spec.Sinks, v1alpha1.Sink{Name: name})
	}
	ch.Status.Sinks = []v1alpha1.SinkStatus{{Name: "stuck", State: v1alpha1.SinkFailing, Since: metav1.NewTime(begun), Message: "It answers 500."}}
	api := &sinkapi.API{Reader: fake.NewClientBuilder().WithScheme(scheme).WithObjects(ch).Build(), Events: log}
	mux := http.NewServeMux()
	for _, route := range api.Routes() {
		mux.HandleFunc(route.Pattern, route.Handle)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	resp, err := http.Get(server.URL + "/v1/namespaces/shop/channels/main/sinks")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list sinkapi.List
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d, %v", resp.StatusCode, err)
	}
	got := ""
	for _, s := range list.Items {
		pending, oldest := "unknown", "none"
		if s.Pending != nil {
			pending = fmt.Sprint(*s.Pending)
		}
		if s.OldestAt != nil {
			oldest = s.OldestAt.Sub(begun).String()
		}
		got += fmt.Sprintf("%s %s %s %s %v %s\n", s.Name, s.State, pending, oldest, s.AtLeast, s.Message)
	}
	const want = "done Healthy 0 none false \n" +
		"late Healthy 4 2m0s false \n" +
		"stuck Failing 3 2m0s false It answers 500.\n" +
		"new Healthy unknown none false \n"
	if got != want {
		t.Errorf("the sinks are\n%swant\n%s", got, want)
	}

	absent, err := http.Get(server.URL + "/v1/namespaces/shop/channels/absent/sinks")
	if err != nil {
		t.Fatal(err)
	}
	_ = absent.Body.Close()
	if absent.StatusCode != http.StatusNotFound {
		t.Errorf("an absent channel is answered %d", absent.StatusCode)
	}
}
