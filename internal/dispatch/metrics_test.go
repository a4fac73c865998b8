package dispatch_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// What is counted by sink is not told any more of sinks that are gone, alone or with their channel.
func TestCountersOfSinksThatAreGone(t *testing.T) {
	const letters = "tiktok_operator_dead_letters_total"
	rc := newReceiver(t, always(410))
	r := newRig(t, nil)
	ch := channelWith(sinkOf("stays", rc.URL), sinkOf("goes", rc.URL))
	r.apply(ch)
	r.put(uid, "evt", 3)
	counted := func(stays, goes float64) func() bool {
		return func() bool {
			return r.metric(letters, "sink", "stays") == stays && r.metric(letters, "sink", "goes") == goes
		}
	}
	eventually(t, "all are counted", counted(3, 3))
	r.apply(channelWith(sinkOf("stays", rc.URL)))
	if !counted(3, 0)() {
		t.Errorf("a sink is gone: %v of it, %v of the other", r.metric(letters, "sink", "goes"), r.metric(letters, "sink", "stays"))
	}
	r.apply(ch) // it begins anew
	r.put(uid, "further", 1)
	eventually(t, "the new one is counted", func() bool { return r.metric(letters, "sink", "stays") == 4 && r.metric(letters, "sink", "goes") >= 1 })
	if err := r.d.Forget(t.Context(), types.NamespacedName{Namespace: ch.Namespace, Name: ch.Name}); err != nil {
		t.Fatal(err)
	}
	if !counted(0, 0)() {
		t.Errorf("the channel is gone: %v and %v", r.metric(letters, "sink", "goes"), r.metric(letters, "sink", "stays"))
	}
}
