package faults

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// The one loss that cannot be survived: the manager dies when TikTok has spent the refresh token and before the answer is in the journal. The
// user is told once, nothing is tried again, and a new authorization through the link in the status mends it.
func TestKilledBeforeTheJournal(t *testing.T) {
	t.Parallel()
	ports, err := program.Ports(3)
	if err != nil {
		t.Fatal(err)
	}
	public := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	s := newStage(t, func(app *v1alpha1.TiktokApp) { app.Spec.PublicURL = public }).open()
	m := s.manager()
	ch := s.channel(1, later())
	s.is(ch, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	happened := s.whenAnswering(m.Kill)
	s.request(ch, "first")
	<-happened
	m.start()
	m.tells("TikTok's answer, if any, is lost")
	s.is(ch, v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionTrue)
	s.calls(2, 1)
	if left := m.entries(); len(left) > 0 {
		t.Errorf("the journal holds %v", left)
	}
	for _, want := range []struct {
		condition string
		status    metav1.ConditionStatus
	}{
		{v1alpha1.ReadyCondition, metav1.ConditionFalse},
		{v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionTrue},
		{v1alpha1.StalledCondition, metav1.ConditionTrue},
	} {
		c := condition(ch, want.condition)
		t.Logf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
		if c.Status != want.status || c.Reason != v1alpha1.ReasonRefreshTokenRefused {
			t.Errorf("%s is %s (%s)", c.Type, c.Status, c.Reason)
		}
	}
	s.eventually("a Warning event", func() string {
		for _, e := range s.events(ch) {
			if e.Type == "Warning" && e.Reason == v1alpha1.EventReauthorizationRequired {
				t.Logf("%s event %s: %s", e.Type, e.Reason, e.Note)
				return ""
			}
		}
		return "there is none"
	})

	s.webhook(ports)
	s.consent(ch)
	s.is(ch, v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionFalse)
	if c := condition(ch, v1alpha1.StalledCondition); c.Status == metav1.ConditionTrue {
		t.Errorf("still stalled: %s", c.Message)
	}
	s.whole(2, 1, ch)
}

func (s *stage) events(ch *v1alpha1.TiktokChannel) []eventsv1.Event {
	s.t.Helper()
	var list eventsv1.EventList
	if err := k8s.List(s.t.Context(), &list, client.InNamespace(ch.Namespace)); err != nil {
		s.t.Fatal(err)
	}
	var events []eventsv1.Event
	for _, e := range list.Items {
		if e.Regarding.UID == ch.UID {
			events = append(events, e)
		}
	}
	return events
}

// webhook runs the deployment that authorizations go through.
func (s *stage) webhook(ports []int) {
	s.t.Helper()
	dir := s.t.TempDir()
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	log := filepath.Join(dir, "log")
	p, err := program.Start(filepath.Join(binaries, "webhook"), log,
		"--kubeconfig="+s.kubeconfig(dir, "https://"+cluster.address), "--namespace="+s.operator, "--watch-namespaces="+s.namespace,
		"--metrics-bind-address=0", "--public-bind-address="+at(0), "--private-bind-address="+at(1), "--health-probe-bind-address="+at(2),
		"--data-dir="+filepath.Join(dir, "events"),
	)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		p.Kill()
		if s.t.Failed() {
			text, _ := os.ReadFile(log)
			s.t.Logf("the log of the webhook deployment ends:\n%s", tail(string(text), 6000))
		}
	})
	s.eventually("the webhook deployment", func() string {
		select {
		case <-p.Done():
			s.t.Fatal("the webhook deployment has ended")
		default:
		}
		resp, err := http.Get("http://" + at(2) + "/readyz?verbose")
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Sprint("it is not ready: ", resp.Status, " ", string(text), err)
		}
		return ""
	})
}

// consent does what a person does: open the link, and agree.
func (s *stage) consent(ch *v1alpha1.TiktokChannel) {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := (&http.Client{Jar: jar, Timeout: time.Minute}).Get(s.reload(ch).Status.AuthorizationURL)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if !strings.Contains(string(page), `name="tiktok-operator:result" content="granted"`) {
		s.t.Fatalf("the page does not say that access was granted: %s", tail(string(page), 1500))
	}
}
