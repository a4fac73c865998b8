package eventlog

import (
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
)

// One position that cannot be decoded, of a later version for example, stops nobody else, and loses no event: its sink begins at the oldest.
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
	for sink, value := range map[string]string{
		"later":   `{"namespace":"shop","name":"main","channelUID":"ch","sink":"later","sequence":2,"behind":[{"lane":"a","seq":1}]}`,
		"garbage": `{"namespace":"shop","na`,
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
	if later := got["later"]; len(got) != 2 || got["good"].Position != good.Position || later.Position != (Position{}) || later.Namespace != "shop" ||
		later.Name != "main" || later.ChannelUID != "ch" || later.Behind != nil {
		t.Errorf("got %+v", states)
	}
	for _, want := range []string{`"channel"="shop/main" "channelUID"="ch" "sink"="later"`, `"subject"="tiktok.sinks.ch.garbage"`} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("it is not told of %s: %s", want, &told)
		}
	}
	// Who knows which sink it is gets along without the rest.
	for _, sink := range []string{"later", "garbage"} {
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
	if states, err := l.Sinks(t.Context()); err != nil || len(states) != 2 || told.Len() > 0 {
		t.Errorf("after that: %+v, %v, told %q", states, err, &told)
	}
}
