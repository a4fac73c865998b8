package faults

import (
	"os"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// spoil puts a file in the place of the journal's directory, which nobody can write to, not even root.
func (m *manager) spoil(t *testing.T) {
	t.Helper()
	if err := os.Rename(m.journal, m.journal+".kept"); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(m.journal, nil, 0o600); err != nil {
		t.Error(err)
	}
}

func (m *manager) mend(t *testing.T) {
	t.Helper()
	if err := os.Remove(m.journal); err != nil {
		t.Error(err)
	}
	if err := os.Rename(m.journal+".kept", m.journal); err != nil {
		t.Error(err)
	}
}

// The journal cannot be written when a refresh is to begin: TikTok is not called, since its answer could be lost. The refresh follows when
// the journal is mended, without a restart.
func TestNoRefreshWithoutJournal(t *testing.T) {
	t.Parallel()
	s := newStage(t).open()
	m := s.manager()
	ch := s.channel(1, later())
	s.is(ch, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	m.spoil(t)
	s.request(ch, "first")
	m.tells("preparing the journal for TikTok's answer")
	s.calls(0, 0)
	m.mend(t)
	s.handled(ch, "first")
	s.whole(1, 0, ch)
}

// The journal breaks while TikTok answers: the answer is stored in the Secret directly, and the log says so.
func TestJournalBreaksDuringARefresh(t *testing.T) {
	t.Parallel()
	s := newStage(t).open()
	m := s.manager()
	ch := s.channel(1, later())
	s.is(ch, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	happened := s.whenAnswering(func() { m.spoil(t) })
	s.request(ch, "first")
	<-happened
	s.stored(ch)
	m.tells("could not be journalled; it is stored directly")
	m.mend(t)
	// What is left in it is the note that a refresh began. The next refresh replaces it, and removes it.
	s.request(ch, "second")
	s.handled(ch, "second")
	s.whole(2, 0, ch)
}

// A manager whose journal cannot be written does not start.
func TestNoStartWithoutJournal(t *testing.T) {
	t.Parallel()
	s := newStage(t).open()
	m := s.newManager()
	if err := os.WriteFile(m.journal, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.start()
	m.ended(patience)
	if m.Stop(patience) == nil || !m.says("--journal-dir") {
		t.Error("it ended without saying why")
	}
}
