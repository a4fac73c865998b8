package deadletter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/deadletter"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

type bench struct {
	t   *testing.T
	log *eventlog.Log
	api *deadletter.API
	url string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	log, err := eventlog.Open(t.Context(), eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	channel := func(name string) *v1alpha1.TiktokChannel {
		return &v1alpha1.TiktokChannel{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name)},
			Spec: v1alpha1.TiktokChannelSpec{
				AppRef: v1alpha1.TiktokAppReference{Name: "app"}, Sinks: []v1alpha1.Sink{{Name: "crm"}, {Name: "audit"}},
			},
		}
	}
	api := &deadletter.API{
		Reader: fake.NewClientBuilder().WithScheme(scheme).WithObjects(channel("main"), channel("other")).Build(), Events: log,
	}
	mux := http.NewServeMux()
	mux.HandleFunc(deadletter.ListPattern, api.List)
	mux.HandleFunc(deadletter.GetPattern, api.Get)
	mux.HandleFunc(deadletter.ReplayPattern, api.Replay)
	mux.HandleFunc(deadletter.ReplayAllPattern, api.ReplayAll)
	mux.HandleFunc(deadletter.ReplayEventsPattern, api.ReplayEvents)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &bench{t: t, log: log, api: api, url: server.URL + "/v1/namespaces/shop/channels/"}
}

// bury stores dead letters of a channel's sink.
func (b *bench) bury(channel, sink string, n int) {
	b.t.Helper()
	for i := range n {
		id := fmt.Sprint("evt-", i)
		content := fmt.Sprintf(`{"message_id":"%d","conversation_id":"c+/=","type":"text","text":{"body":"hi"}}`, i)
		body, err := json.Marshal(map[string]any{"event": "im_receive_msg", "user_openid": "biz", "create_time": 1, "content": content})
		if err != nil {
			b.t.Fatal(err)
		}
		if err := b.log.AddDeadLetter(b.t.Context(), eventlog.DeadLetter{
			Record:   eventlog.Record{ID: id, App: "app", ChannelUID: "uid-" + channel, Conversation: "c+/=", Event: "im_receive_msg", Sink: sink, Body: body},
			Sequence: uint64(i + 1), StoredAt: time.Unix(100, 0), Reason: "rejected", Problem: "it answered 410", Attempts: 1,
		}); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) ask(method, path string, into any) int {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	if want := map[bool]string{true: "application/json", false: "application/problem+json"}[resp.StatusCode < 300]; resp.Header.Get("Content-Type") != want {
		b.t.Errorf("%s %s: content type %q", method, path, resp.Header.Get("Content-Type"))
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode
}

func (b *bench) list(path string) deadletter.List {
	b.t.Helper()
	var list deadletter.List
	if code := b.ask(http.MethodGet, path, &list); code != http.StatusOK {
		b.t.Fatalf("%s: %d", path, code)
	}
	return list
}

func TestListAndRead(t *testing.T) {
	b := newBench(t)
	if empty := b.list("main/dead-letters"); len(empty.Items) != 0 || empty.Items == nil || empty.Continue != "" {
		t.Fatalf("got %+v", empty)
	}
	b.bury("main", "crm", 5)
	b.bury("main", "audit", 2)
	b.bury("other", "crm", 1)
	if all := b.list("main/dead-letters"); len(all.Items) != 7 {
		t.Fatalf("%d letters", len(all.Items))
	}
	var ids []string
	for page, path := 0, "main/dead-letters?sink=crm&limit=2"; ; page++ {
		list := b.list(path)
		for _, l := range list.Items {
			if l.Sink != "crm" || l.Reason != "rejected" || l.Attempts != 1 || l.Event.Data != nil || l.Event.Subject != "c+/=" ||
				l.Event.Type != "io.tiktok-operator.message.received" {
				t.Fatalf("got %+v", l)
			}
			ids = append(ids, l.Event.ID)
		}
		if list.Continue == "" {
			if page != 2 {
				t.Fatalf("%d pages", page+1)
			}
			break
		}
		path = "main/dead-letters?sink=crm&limit=2&continue=" + list.Continue
	}
	if fmt.Sprint(ids) != "[evt-0 evt-1 evt-2 evt-3 evt-4]" {
		t.Fatalf("got %v", ids)
	}
	now := time.Now().UTC()
	for path, want := range map[string]int{
		"since=" + now.Add(-time.Hour).Format(time.RFC3339): 7, "since=" + now.Add(time.Hour).Format(time.RFC3339): 0,
		"until=" + now.Add(-time.Hour).Format(time.RFC3339): 0, "until=" + now.Add(time.Hour).Format(time.RFC3339): 7,
	} {
		if got := len(b.list("main/dead-letters?" + path).Items); got != want {
			t.Errorf("%s: %d letters, want %d", path, got, want)
		}
	}
	letter := b.list("main/dead-letters?limit=1").Items[0]
	var full deadletter.Letter
	if code := b.ask(http.MethodGet, "main/dead-letters/"+letter.ID, &full); code != http.StatusOK || !strings.Contains(string(full.Event.Data), `"text":"hi"`) {
		t.Fatalf("%d, %+v", code, full)
	}
}

func TestReplay(t *testing.T) {
	b := newBench(t)
	b.bury("main", "crm", 4)
	b.bury("main", "audit", 2)
	b.bury("other", "crm", 1)
	events := func() (got []string) {
		t.Helper()
		stored, _, err := b.log.Events(t.Context(), eventlog.Query{ChannelUID: "uid-main", Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range stored {
			if e.Replay == "" {
				t.Errorf("%s is not marked", e.ID)
			}
			got = append(got, e.Sink+" "+e.ID)
		}
		return got
	}
	first := b.list("main/dead-letters?sink=crm&limit=1").Items[0]
	var answer deadletter.Replayed
	if code := b.ask(http.MethodPost, "main/dead-letters/"+first.ID+"/replay", &answer); code != http.StatusAccepted || answer.Replayed != 1 {
		t.Fatalf("%d, %+v", code, answer)
	}
	if code := b.ask(http.MethodPost, "main/dead-letters/replay?sink=crm", &answer); code != http.StatusAccepted || answer.Replayed != 3 || answer.More {
		t.Fatalf("%d, %+v", code, answer)
	}
	if got := events(); fmt.Sprint(got) != "[crm evt-0 crm evt-1 crm evt-2 crm evt-3]" {
		t.Fatalf("got %v", got)
	}
	if left := b.list("main/dead-letters"); len(left.Items) != 2 {
		t.Fatalf("%d are left", len(left.Items))
	}
	if code := b.ask(http.MethodPost, "main/dead-letters/replay?all=true", &answer); code != http.StatusAccepted || answer.Replayed != 2 {
		t.Fatalf("%d, %+v", code, answer)
	}
	if others := b.list("other/dead-letters"); len(others.Items) != 1 {
		t.Fatal("another channel's letters were touched")
	}
}

// The sink of a letter may be gone when somebody replays it. An event for it would be delivered by nobody.
func TestReplayOfASinkThatIsGone(t *testing.T) {
	b := newBench(t)
	b.bury("main", "former", 3)
	b.bury("main", "crm", 2)
	b.bury("main", "renamed", 1)
	former := b.list("main/dead-letters?sink=former&limit=1").Items[0]
	for _, path := range []string{"main/dead-letters/" + former.ID + "/replay", "main/dead-letters/replay?sink=former"} {
		var p struct{ Type, Detail string }
		if code := b.ask(http.MethodPost, path, &p); code != http.StatusConflict || !strings.HasSuffix(p.Type, "/sink-gone") ||
			!strings.Contains(p.Detail, `no sink "former"`) || !strings.Contains(p.Detail, "to=") {
			t.Errorf("%s: %d %+v", path, code, p)
		}
	}
	var answer deadletter.Replayed
	if code := b.ask(http.MethodPost, "main/dead-letters/replay?all=true", &answer); code != http.StatusAccepted || answer.Replayed != 2 || answer.Skipped != 4 {
		t.Errorf("all: %d, %+v", code, answer)
	}
	if left := b.list("main/dead-letters"); len(left.Items) != 4 {
		t.Fatalf("%d letters are left", len(left.Items))
	}

	// Another sink of the channel takes them.
	answer = deadletter.Replayed{}
	if code := b.ask(http.MethodPost, "main/dead-letters/"+former.ID+"/replay?to=audit", &answer); code != http.StatusAccepted || answer.Replayed != 1 {
		t.Errorf("one, to another sink: %d, %+v", code, answer)
	}
	if code := b.ask(http.MethodPost, "main/dead-letters/replay?all=true&to=crm", &answer); code != http.StatusAccepted || answer.Replayed != 3 || answer.Skipped != 0 {
		t.Errorf("all, to another sink: %d, %+v", code, answer)
	}
	if left := b.list("main/dead-letters"); len(left.Items) != 0 {
		t.Errorf("%d letters are left", len(left.Items))
	}
	stored, _, err := b.log.Events(t.Context(), eventlog.Query{ChannelUID: "uid-main", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range stored {
		if e.Replay == "" {
			t.Errorf("%s is not marked", e.ID)
		}
		got = append(got, e.Sink+" "+e.ID)
	}
	if fmt.Sprint(got) != "[crm evt-0 crm evt-1 audit evt-0 crm evt-1 crm evt-2 crm evt-0]" {
		t.Errorf("got %v", got)
	}
}

// A letter that its sink would not be sent, because its filter was changed meanwhile or it is another one's, is not given up.
func TestReplayOfWhatTheSinkDoesNotWant(t *testing.T) {
	b := newBench(t)
	b.bury("main", "crm", 2)
	var ch v1alpha1.TiktokChannel
	cluster := b.api.Reader.(client.Client)
	if err := cluster.Get(t.Context(), types.NamespacedName{Namespace: "shop", Name: "main"}, &ch); err != nil {
		t.Fatal(err)
	}
	ch.Spec.Sinks[0].Types = []string{cloudevent.TypeMessageRead}
	if err := cluster.Update(t.Context(), &ch); err != nil {
		t.Fatal(err)
	}
	var p struct{ Type, Detail string }
	path := "main/dead-letters/" + b.list("main/dead-letters").Items[0].ID + "/replay"
	if code := b.ask(http.MethodPost, path, &p); code != http.StatusConflict || !strings.HasSuffix(p.Type, "/type-not-wanted") ||
		!strings.Contains(p.Detail, cloudevent.TypeMessageReceived) {
		t.Errorf("one: %d %+v", code, p)
	}
	var answer deadletter.Replayed
	if code := b.ask(http.MethodPost, "main/dead-letters/replay?sink=crm", &answer); code != http.StatusAccepted || answer.Replayed != 0 || answer.Skipped != 2 {
		t.Errorf("all: %d, %+v", code, answer)
	}
	if left := b.list("main/dead-letters"); len(left.Items) != 2 {
		t.Fatalf("%d letters are left", len(left.Items))
	}
	answer = deadletter.Replayed{}
	if code := b.ask(http.MethodPost, "main/dead-letters/replay?sink=crm&to=audit", &answer); code != http.StatusAccepted || answer.Replayed != 2 {
		t.Errorf("to another sink: %d, %+v", code, answer)
	}
}

// Letters that stay do not keep those behind them from being replayed.
func TestReplayPassesOverManyOfASinkThatIsGone(t *testing.T) {
	b := newBench(t)
	b.bury("main", "former", 1100)
	b.bury("main", "crm", 1001)
	var answers []string
	for more := true; more; {
		var answer deadletter.Replayed
		if code := b.ask(http.MethodPost, "main/dead-letters/replay?all=true", &answer); code != http.StatusAccepted {
			t.Fatal(code)
		}
		answers, more = append(answers, fmt.Sprintf("%+v", answer)), answer.More
	}
	if got := fmt.Sprint(answers); got != "[{Replayed:1000 Skipped:1100 More:true} {Replayed:1 Skipped:1100 More:false}]" {
		t.Errorf("got %v", got)
	}
}

// One request replays as many as it asks for, and passes over any number to find them.
func TestReplayOfSomeOnly(t *testing.T) {
	b := newBench(t)
	b.bury("main", "former", 600)
	b.bury("main", "crm", 4)
	var answers []string
	for _, limit := range []string{"1", "2", "1000"} {
		var answer deadletter.Replayed
		if code := b.ask(http.MethodPost, "main/dead-letters/replay?all=true&limit="+limit, &answer); code != http.StatusAccepted {
			t.Fatal(code)
		}
		answers = append(answers, fmt.Sprintf("%+v", answer))
	}
	want := "[{Replayed:1 Skipped:600 More:true} {Replayed:2 Skipped:600 More:true} {Replayed:1 Skipped:600 More:false}]"
	if got := fmt.Sprint(answers); got != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestRefusals(t *testing.T) {
	b := newBench(t)
	b.bury("other", "crm", 1)
	foreign := b.list("other/dead-letters").Items[0].ID
	for path, want := range map[string]struct {
		method string
		status int
		words  string
	}{
		"nobody/dead-letters":                                  {http.MethodGet, 404, "no TiktokChannel nobody"},
		"main/dead-letters?limit=0":                            {http.MethodGet, 400, "limit"},
		"main/dead-letters?since=yesterday":                    {http.MethodGet, 400, "since"},
		"main/dead-letters?sinks=crm":                          {http.MethodGet, 400, `"sinks" is not known`},
		"main/dead-letters/0":                                  {http.MethodGet, 404, "no such dead letter"},
		"main/dead-letters/x":                                  {http.MethodGet, 404, "no such dead letter"},
		"main/dead-letters/" + foreign:                         {http.MethodGet, 404, "no such dead letter"},
		"main/dead-letters/" + foreign + "/replay":             {http.MethodPost, 404, "no such dead letter"},
		"other/dead-letters/" + foreign + "/replay?to=nobody":  {http.MethodPost, 404, `no sink "nobody"`},
		"other/dead-letters/" + foreign + "/replay?sink=audit": {http.MethodPost, 400, `"sink" is not known`},
		"other/dead-letters/replay?all=true&to=nobody":         {http.MethodPost, 404, `no sink "nobody"`},
		"other/dead-letters/replay?all=true&to=crm&to=audit":   {http.MethodPost, 400, "more than once"},
		"other/dead-letters?to=audit":                          {http.MethodGet, 400, `"to" is not known`},
		"main/dead-letters/replay":                             {http.MethodPost, 400, "Say which"},
		"main/dead-letters/replay?sink=a&limit=many":           {http.MethodPost, 400, "limit"},
		"main/dead-letters/replay?sink=crm&limit=0":            {http.MethodPost, 400, "from 1 to 1000"},
		"main/dead-letters/replay?sink=crm&limit=1001":         {http.MethodPost, 400, "from 1 to 1000"},
		"main/dead-letters?limit=501":                          {http.MethodGet, 400, "from 1 to 500"},
	} {
		var p struct{ Type, Detail string }
		if status := b.ask(want.method, path, &p); status != want.status || !strings.Contains(p.Detail, want.words) || p.Type == "" {
			t.Errorf("%s: %d %+v", path, status, p)
		}
	}
	if others := b.list("other/dead-letters"); len(others.Items) != 1 {
		t.Fatal("another channel's letter was replayed")
	}
	_ = b.log.Close()
	var p struct{ Type string }
	if status := b.ask(http.MethodGet, "main/dead-letters", &p); status != http.StatusServiceUnavailable || !strings.HasSuffix(p.Type, "/unavailable") {
		t.Errorf("with the log away: %d %+v", status, p)
	}
}
