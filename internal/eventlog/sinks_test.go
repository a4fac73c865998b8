package eventlog

import (
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
)

// One position that cannot be decoded, of a later version for example, stops nobody else, and loses no event: its sink begins at the oldest. Whose it
// is, its subject says.
func TestAPositionThatCannotBeDecoded(t *testing.T) {
	var told strings.Builder
	l, err := Open(t.Context(), Options{DataDir: t.TempDir(), Fsync: Fsync(time.Minute), Log: funcr.New(func(_, args string) {
		told.WriteString(args + "\n")
	}, funcr.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for range 3 {
		if _, err := l.Append(t.Context(), Record{ID: time.Now().String(), App: "app", ChannelUID: "ch", Body: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	good := SinkState{Namespace: "shop", Name: "main", ChannelUID: "ch", Sink: "good", Position: Position{Sequence: 2}, Epoch: l.Epoch()}
	if err := l.SaveSink(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	if _, err := l.js.Publish(t.Context(), sinksPrefix+"ch.=x", []byte("{}")); err != nil { // no sink's
		t.Fatal(err)
	}
	for sink, value := range map[string]string{
		"later":   `{"namespace":"shop","name":"main","channelUID":"ch","sink":"later","sequence":2,"behind":[{"lane":"a","seq":1}]}`,
		"garbage": `{"namespace":"shop","na`,
		"empty":   "",
		"another": `{"namespace":"shop","name":"main","channelUID":"ch","sink":"good","sequence":3}`,
	} {
		if _, err := l.js.Publish(t.Context(), sinkSubject("ch", sink), []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	states, err := l.Sinks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]SinkState{}
	for _, s := range states {
		got[s.Sink] = s
	}
	if len(states) != 5 || got["good"].Position != good.Position {
		t.Errorf("got %+v", states)
	}
	for sink, name := range map[string]string{"later": "main", "garbage": "", "empty": "", "another": ""} {
		state := got[sink]
		if state.Position != (Position{}) || state.Behind != nil || state.Name != name || state.ChannelUID != "ch" || state.Epoch != l.Epoch() {
			t.Errorf("%s: %+v", sink, state)
		}
		if want := `"channelUID"="ch" "sink"="` + sink + `"`; !strings.Contains(told.String(), want) {
			t.Errorf("it is not told of %s: %s", want, &told)
		}
	}
	if !strings.Contains(told.String(), `"sink"="later" "channel"="shop/main"`) || !strings.Contains(told.String(), `"subject"="tiktok.sinks.ch.=x"`) {
		t.Errorf("told %s", &told)
	}
	for _, sink := range []string{"later", "garbage", "empty", "another"} {
		told.Reset()
		state, revision, err := l.LoadSink(t.Context(), "ch", sink)
		if err != nil || revision == 0 || state.Position != (Position{}) || state.ChannelUID != "ch" || state.Sink != sink || state.Epoch != l.Epoch() {
			t.Errorf("%s: %+v, revision %d, %v", sink, state, revision, err)
		}
		if !strings.Contains(told.String(), "a sink's position is lost") {
			t.Errorf("%s: told %q", sink, &told)
		}
		if _, err := l.AdvanceSink(t.Context(), state, revision); err != nil {
			t.Errorf("%s: storing what follows: %v", sink, err)
		}
	}
	told.Reset()
	if states, err := l.Sinks(t.Context()); err != nil || len(states) != 5 || strings.Contains(told.String(), "is lost") {
		t.Errorf("after that: %+v, %v, told %q", states, err, &told)
	}
}
