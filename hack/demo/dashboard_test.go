package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// trouble are the panels that show nothing while all is well.
var trouble = map[string]bool{
	"Wait for their first authorization": true, "Must be authorized again": true, "Suspended": true, "Not ready, by reason": true,
	"Events that wait, by sink": true, "Oldest event that waits, by sink": true, "Sinks that fail, for how long": true,
	"Refreshes fail": true, "Refreshes that failed since the last success": true, "Dead letters of the last hour": true,
}

// asked is a question of a panel, and how many series at most came of it.
type asked struct {
	panel, expression string
	series            int
}

// TestDashboardShowsTheTour has a real Prometheus ($PROMETHEUS) read the metrics of the tour, asks it all that the dashboard asks, and loads
// the alerts. Every panel shows something: some only once there is trouble.
func TestDashboardShowsTheTour(t *testing.T) {
	binary := os.Getenv("PROMETHEUS")
	if binary == "" {
		t.Skip("PROMETHEUS names no binary: make dashboard builds one")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	questions := dashboardQuestions(t)
	g := &guide{stage: &stage{dir: t.TempDir(), settings: settings{tokenLife: 20 * time.Second, logLevel: "info"}}}
	t.Cleanup(func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	})
	open(ctx, t, g.stage)
	prometheus := startPrometheus(ctx, t, g, binary)
	must(t, "create", g.create(ctx))
	must(t, "authorize", g.authorize(ctx))
	must(t, "receive", g.receive(question)(ctx))
	must(t, "refresh", g.refresh(ctx))
	must(t, "reply", g.reply(ctx))

	shown(ctx, t, prometheus, questions, func(panel string) bool { return !trouble[panel] })
	healthy(ctx, t, prometheus)

	must(t, "channels that wait", waiting(ctx, g))
	// The next message is refused for good, and the one after it finds nobody.
	must(t, "a dead letter", g.change(ctx, func(ch *v1alpha1.TiktokChannel) {
		ch.Spec.Sinks = append(ch.Spec.Sinks, v1alpha1.Sink{Name: "refuses", URI: g.public + "/nothing-here"})
	}))
	must(t, "receive", g.receive("Is anybody there?")(ctx))
	g.sink.stop()
	must(t, "a message that nobody takes", post(ctx, g.simulator+"/admin/events", `{"text":"Hello?","user":"alice"}`))
	must(t, "TikTok fails", post(ctx, g.simulator+"/admin/faults", `{"endpoint":"tt_user/oauth2/refresh_token/","times":3,"code":50000}`))
	shown(ctx, t, prometheus, questions, func(panel string) bool { return panel != "Must be authorized again" })
	must(t, "disconnect", g.disconnect(ctx))
	shown(ctx, t, prometheus, questions, func(string) bool { return true })
	for _, q := range questions {
		t.Logf("%-45s %d series", q.panel, q.series)
	}

	var series []map[string]string
	must(t, "the values to choose from", ask(ctx, prometheus+"/api/v1/series?match[]=tiktok_operator_channel_suspended", &series))
	if len(series) == 0 || series[0]["namespace"] != "default" || series[0]["name"] != "demo" {
		t.Errorf("the dashboard lets choose among %v", series)
	}
}

// shown waits until the panels have shown something.
func shown(ctx context.Context, t *testing.T, prometheus string, questions []asked, wanted func(panel string) bool) {
	t.Helper()
	var missing []string
	err := program.Wait(ctx, time.Minute, "the panels to show something", func() (bool, error) {
		missing = nil
		for i := range questions {
			q := &questions[i]
			var answer struct {
				Result []struct{} `json:"result"`
			}
			if err := ask(ctx, prometheus+"/api/v1/query?query="+url.QueryEscape(q.expression), &answer); err != nil {
				return false, fmt.Errorf("the panel %q: %w", q.panel, err)
			}
			if q.series = max(q.series, len(answer.Result)); q.series == 0 && wanted(q.panel) {
				missing = append(missing, q.panel+": "+q.expression)
			}
		}
		return len(missing) == 0, nil
	})
	if err != nil {
		t.Fatalf("%v; these show nothing:\n%s", err, strings.Join(missing, "\n"))
	}
}

// waiting makes a channel that nobody authorizes, and one that is suspended.
func waiting(ctx context.Context, g *guide) error {
	for name, suspend := range map[string]bool{"waits": false, "rests": true} {
		ch := &v1alpha1.TiktokChannel{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
			Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: "demo"}, Suspend: suspend},
		}
		if err := g.k8s.Create(ctx, ch); err != nil {
			return fmt.Errorf("creating a channel: %w", err)
		}
		g.closers = append(g.closers, func() error {
			return client.IgnoreNotFound(g.k8s.Delete(context.WithoutCancel(ctx), ch))
		})
	}
	return nil
}

// healthy says that Prometheus evaluates every alert, and that none fires while all is well.
func healthy(ctx context.Context, t *testing.T, prometheus string) {
	t.Helper()
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError, State string } `json:"rules"`
		} `json:"groups"`
	}
	must(t, "the alerts", ask(ctx, prometheus+"/api/v1/rules?type=alert", &rules))
	alerts := 0
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			alerts++
			if rule.Health == "err" || rule.State == "firing" {
				t.Errorf("the alert %s is %s and %s: %s", rule.Name, rule.Health, rule.State, rule.LastError)
			}
		}
	}
	if alerts == 0 {
		t.Error("Prometheus has no alerts")
	}
}

// dashboardQuestions are the expressions of all panels as Grafana asks them when every channel is chosen.
func dashboardQuestions(t *testing.T) []asked {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("config", "monitoring", "dashboard.json"))
	must(t, "reading the dashboard", err)
	var document struct {
		Panels []struct {
			Title   string                  `json:"title"`
			Targets []struct{ Expr string } `json:"targets"`
		} `json:"panels"`
	}
	must(t, "reading the dashboard", json.Unmarshal(text, &document))
	variables := strings.NewReplacer("$__rate_interval", "1m", "$namespace", ".*", "$channel", ".*")
	var all []asked
	for _, panel := range document.Panels {
		for _, target := range panel.Targets {
			all = append(all, asked{panel: panel.Title, expression: variables.Replace(target.Expr)})
		}
	}
	if len(all) == 0 {
		t.Fatal("the dashboard asks nothing")
	}
	return all
}

// startPrometheus has it read the metrics of the stage, with the labels that the ServiceMonitor gives, and returns its address.
func startPrometheus(ctx context.Context, t *testing.T, g *guide, binary string) string {
	t.Helper()
	rules, err := exec.CommandContext(ctx, "go", "run", "./hack/alerts").Output()
	must(t, "the alerts", err)
	dir := t.TempDir()
	must(t, "writing the alerts", os.WriteFile(filepath.Join(dir, "rules.yaml"), rules, 0o600))
	var targets []string
	for _, address := range g.metrics {
		targets = append(targets, "'"+strings.TrimSuffix(strings.TrimPrefix(address, "http://"), "/metrics")+"'")
	}
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yaml]\nscrape_configs:\n"+
		"- job_name: tiktok-operator\n  honor_labels: true\n  static_configs: [{targets: [%s]}]\n", strings.Join(targets, ", "))
	must(t, "writing Prometheus' configuration", os.WriteFile(filepath.Join(dir, "prometheus.yaml"), []byte(config), 0o600))
	ports, err := program.Ports(1)
	must(t, "a port", err)
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	must(t, "starting Prometheus", func() error {
		p, err := program.Start(binary, filepath.Join(dir, "log"), "--config.file="+filepath.Join(dir, "prometheus.yaml"),
			"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
		if err == nil {
			t.Cleanup(func() {
				if err := p.Stop(time.Minute); err != nil {
					t.Error(err)
				}
			})
		}
		return err
	}())
	must(t, "Prometheus", program.Wait(ctx, time.Minute, "Prometheus to be ready", func() (bool, error) {
		return answers(ctx, "http://"+address+"/-/ready"), nil
	}))
	return "http://" + address
}

// ask reads the data of an answer of Prometheus' API.
func ask(ctx context.Context, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("reading Prometheus' answer: %w", err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("Prometheus says: %s", answer.Error)
	}
	return json.Unmarshal(answer.Data, into)
}
