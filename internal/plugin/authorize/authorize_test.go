package authorize

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/plugintest"
)

const link = "https://messaging.example.com/oauth/start?link=x"

// status is a channel's, as an operator writes it that has looked at it.
func status(authorized metav1.ConditionStatus, readyReason, url string) v1alpha1.TiktokChannelStatus {
	isReady := metav1.ConditionFalse
	if readyReason == v1alpha1.ReasonSucceeded {
		isReady = metav1.ConditionTrue
	}
	return v1alpha1.TiktokChannelStatus{AuthorizationURL: url, Conditions: []metav1.Condition{
		{Type: v1alpha1.ReadyCondition, Status: isReady, Reason: readyReason, Message: "because of " + readyReason, ObservedGeneration: 1},
		{Type: v1alpha1.AuthorizedCondition, Status: authorized, Reason: "Any", ObservedGeneration: 1},
	}}
}

// TestAuthorize reads a channel that turns with each look.
func TestAuthorize(t *testing.T) {
	const yes, no = metav1.ConditionTrue, metav1.ConditionFalse
	var (
		unseen    = v1alpha1.TiktokChannelStatus{}
		linked    = status(no, v1alpha1.ReasonAwaitingAuthorization, link)
		elsewhere = status(no, v1alpha1.ReasonAwaitingAuthorization, "")
		noApp     = status(no, v1alpha1.ReasonAppNotFound, "")
		noService = status(yes, v1alpha1.ReasonSinkServiceNotFound, "")
		suspended = status(yes, v1alpha1.ReasonSuspended, "")
		good      = status(yes, v1alpha1.ReasonSucceeded, "")
		stale     = status(yes, v1alpha1.ReasonSucceeded, "")
	)
	stale.Conditions[0].ObservedGeneration = 0
	for name, tt := range map[string]struct {
		looks   []v1alpha1.TiktokChannelStatus
		options options
		refused bool // by the private API
		// out is what is on standard output, told what is told while waiting, and failure what the error says; none, if that is empty.
		out  string
		told []string
		fail []string
		// asked is how often the private API is.
		asked int32
	}{
		"a link in the status": {looks: []v1alpha1.TiktokChannelStatus{linked}, out: link + "\n"},
		"no link in statuses":  {looks: []v1alpha1.TiktokChannelStatus{elsewhere}, out: "made\n", asked: 1},
		"no link to be had": {
			looks: []v1alpha1.TiktokChannelStatus{elsewhere}, refused: true, asked: 1, fail: []string{"Ready=False (AwaitingAuthorization)"},
		},
		"Ready":              {looks: []v1alpha1.TiktokChannelStatus{good}, told: []string{"is authorized and Ready"}},
		"Ready, a fresh one": {looks: []v1alpha1.TiktokChannelStatus{good}, options: options{fresh: true}, out: "made\n", asked: 1},
		"just created": {
			looks: []v1alpha1.TiktokChannelStatus{unseen}, fail: []string{"has no link yet", "--wait", "has not looked at the channel yet"},
		},
		"just changed":           {looks: []v1alpha1.TiktokChannelStatus{stale}, fail: []string{"is authorized", "since it was changed"}},
		"without an app":         {looks: []v1alpha1.TiktokChannelStatus{noApp}, fail: []string{"cannot be authorized now", "because of AppNotFound"}},
		"without a sink":         {looks: []v1alpha1.TiktokChannelStatus{noService}, fail: []string{"is authorized", "because of SinkServiceNotFound"}},
		"suspended":              {looks: []v1alpha1.TiktokChannelStatus{suspended}, fail: []string{"is authorized", "because of Suspended"}},
		"suspended, a fresh one": {looks: []v1alpha1.TiktokChannelStatus{suspended}, options: options{fresh: true}, out: "made\n", asked: 1},
		"waiting from the beginning": {
			looks: []v1alpha1.TiktokChannelStatus{unseen, unseen, noApp, linked, linked, good}, options: options{wait: true}, out: link + "\n",
			told: []string{"has not looked at the channel yet", "because of AppNotFound", "because of AwaitingAuthorization"},
		},
		"waiting for a sink": {
			looks: []v1alpha1.TiktokChannelStatus{noService, noService, noService, good}, options: options{wait: true},
			told: []string{"because of SinkServiceNotFound", "is authorized and Ready"},
		},
		"waiting in vain for a link": {
			looks: []v1alpha1.TiktokChannelStatus{noApp}, options: options{wait: true, timeout: time.Second},
			told: []string{"because of AppNotFound"}, fail: []string{"has no link", "not within 1s", "because of AppNotFound"},
		},
		"waiting in vain for a sink": {
			looks: []v1alpha1.TiktokChannelStatus{noService}, options: options{wait: true, timeout: time.Second},
			told: []string{"because of SinkServiceNotFound"}, fail: []string{"is not Ready", "not within 1s", "because of SinkServiceNotFound"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			cluster := plugintest.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				if tt.refused || r.Method != http.MethodPost || r.URL.Path != "/v1/namespaces/default/channels/acme/authorization" {
					http.Error(w, "no", http.StatusForbidden)
					return
				}
				w.WriteHeader(http.StatusCreated)
				_, _ = w.Write([]byte(`{"authorizationURL":"made"}`))
			}))
			if tt.options.timeout == 0 {
				tt.options.timeout = time.Minute
			}
			var out, told strings.Builder
			cmd := &cobra.Command{}
			cmd.SetContext(t.Context())
			cmd.SetOut(&out)
			cmd.SetErr(&told)
			err := run(cmd, turning(t, tt.looks), cluster.Gateway(), client.ObjectKey{Namespace: "default", Name: "acme"}, tt.options)
			if out.String() != tt.out || asked.Load() != tt.asked || (err != nil) != (tt.fail != nil) {
				t.Errorf("it prints %q, and asked the API %d times: %v", out.String(), asked.Load(), err)
			}
			for _, want := range tt.told {
				if strings.Count(told.String(), want) != 1 {
					t.Errorf("it does not tell once that %q:\n%s", want, told.String())
				}
			}
			for _, want := range tt.fail {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
		})
	}
}

// turning is a client of a channel that has another status with each look, and keeps the last one.
func turning(t *testing.T, looks []v1alpha1.TiktokChannelStatus) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	ch := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "acme", Generation: 1}}
	next := 0
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(ch).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, into client.Object, o ...client.GetOption) error {
			err := c.Get(ctx, key, into, o...)
			into.(*v1alpha1.TiktokChannel).Status = looks[min(next, len(looks)-1)]
			next++
			return err
		},
	}).Build()
}
