package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/access"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

const (
	addedBudget = 2  // ms at the median that sending through the API adds
	crowdRate   = 50 // calls to TikTok a second while a crowd sends
	// pace is between two messages where latency is measured: four times as many as TikTok takes of an app.
	pace = 25 * time.Millisecond
)

// sending is the suite's state: two channels of one app, the webhook binary, and an application that may send.
type sending struct {
	*fleet
	webhook *program.Process
	api     string
	token   string
	client  *http.Client
	// conversations that a user has begun, one a channel.
	conversations []string
}

// measureSend sends messages through the private API and with the bare client, in turns, and then lets a crowd send at once.
func measureSend(ctx context.Context, s *stage, o options, rep *report) error {
	o.channels, o.namespaces = 2, 1
	m := &sending{fleet: &fleet{stage: s, options: o, report: rep}}
	for _, step := range []func(context.Context) error{m.openTikTok, m.createApp, m.createChannels, m.prepare, m.one, m.crowd} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the channels what the manager makes of them, lets a user write to each, and an application have a token.
func (m *sending) prepare(ctx context.Context) error {
	ports, err := program.Ports(1)
	if err != nil {
		return err
	}
	for i, ch := range m.channels {
		base := ch.DeepCopy()
		ch.Status.BusinessID = fmt.Sprintf("load-business-%05d", i)
		if err := m.k8s.Status().Patch(ctx, ch, client.MergeFrom(base)); err != nil {
			return fmt.Errorf("giving a channel its business: %w", err)
		}
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	var public string
	if m.webhook, public, err = m.startWebhook(ctx, filepath.Join(m.dir, "events"), "always", "--private-bind-address="+address); err != nil {
		return err
	}
	m.api = "https://" + address
	m.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 1000, //nolint:gosec // self-signed, on loopback
	}}
	m.sim.SetWebhook("DIRECT_MESSAGE", public+"/webhooks/"+appName)
	for _, ch := range m.channels {
		for range 2 { // from the second message on there is no quota
			d, err := m.sim.SendEvent(ctx, simulator.Event{Business: ch.Status.BusinessID, Text: "hello"})
			if err != nil || d.Status != http.StatusOK {
				return fmt.Errorf("a user's message: %d %s: %w", d.Status, d.Error, err)
			}
			if len(m.conversations) == 0 || m.conversations[len(m.conversations)-1] != d.ConversationID {
				m.conversations = append(m.conversations, d.ConversationID)
			}
		}
	}
	return m.authorize(ctx)
}

func (m *sending) authorize(ctx context.Context) error {
	meta := metav1.ObjectMeta{Namespace: m.channels[0].Namespace, Name: "messenger"}
	account := &corev1.ServiceAccount{ObjectMeta: meta}
	for _, object := range []client.Object{
		account,
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{v1alpha1.Group}, Resources: []string{"tiktokchannels/messages"}, Verbs: []string{"create"},
		}}},
		&rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: meta.Namespace, Name: meta.Name}},
		},
	} {
		if err := m.k8s.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %T: %w", object, err)
		}
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{access.DefaultAudience}}}
	if err := m.k8s.SubResource("token").Create(ctx, account, request); err != nil {
		return fmt.Errorf("requesting a token: %w", err)
	}
	m.token = request.Status.Token
	return nil
}

// send sends a text through the API. The status is the answer's.
func (m *sending) send(ctx context.Context, channel int, text, key string) (status int, retryAfter string, took time.Duration, err error) {
	body, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		return 0, "", 0, err
	}
	ch := m.channels[channel]
	address := fmt.Sprintf("%s/v1/namespaces/%s/channels/%s/conversations/%s/messages", m.api, ch.Namespace, ch.Name,
		url.PathEscape(m.conversations[channel]))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, "", 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+m.token)
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	began := time.Now()
	resp, err := m.client.Do(r)
	if err != nil {
		return 0, "", 0, fmt.Errorf("sending a message: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, "", 0, fmt.Errorf("reading the answer: %w", err)
	}
	took = time.Since(began)
	if resp.StatusCode >= 400 && resp.StatusCode != http.StatusTooManyRequests {
		return 0, "", 0, fmt.Errorf("a message was answered %d: %s", resp.StatusCode, strings.TrimSpace(string(answer)))
	}
	return resp.StatusCode, resp.Header.Get("Retry-After"), took, nil
}

// arrived is how many messages of a channel's business TikTok has, since the user wrote last.
func (m *sending) arrived(channel int) int {
	for _, c := range m.sim.Conversations(m.channels[channel].Status.BusinessID) {
		if c.ID == m.conversations[channel] {
			return c.SentSince
		}
	}
	return 0
}

// one sends one message after another, half of them without the API.
func (m *sending) one(ctx context.Context) error {
	raw, err := tiktok.NewClient(tiktok.Config{AppID: "sim-app", AppSecret: "sim-secret", APIEndpoint: m.app.Spec.Endpoints.API})
	if err != nil {
		return fmt.Errorf("making the bare client: %w", err)
	}
	business := m.channels[0].Status.BusinessID
	token := tiktok.Secret(m.sim.IssueToken(business).AccessToken)
	const each = 300
	say("%d messages are sent in each of three ways, in turns: with the bare client, and through the API with and without an idempotency key", each)
	var bare, plain, keyed []float64
	before := m.arrived(0)
	through := func(i int, key string) (float64, error) {
		status, _, took, err := m.send(ctx, 0, fmt.Sprint("through ", i), key)
		if err == nil && status != http.StatusCreated {
			err = fmt.Errorf("a message was answered %d", status)
		}
		return milliseconds(took), err
	}
	for i := range each {
		began := time.Now()
		if _, err := raw.SendMessage(ctx, token, business, m.conversations[0], tiktok.OutgoingMessage{Text: fmt.Sprint("bare ", i)}); err != nil {
			return fmt.Errorf("sending with the bare client: %w", err)
		}
		reference := milliseconds(time.Since(began))
		time.Sleep(pace)
		without, err := through(i, "")
		if err != nil {
			return err
		}
		time.Sleep(pace)
		with, err := through(i, fmt.Sprint("key ", i))
		if err != nil {
			return err
		}
		time.Sleep(pace)
		if i >= each/10 { // the first ones warm up
			bare, plain, keyed = append(bare, reference), append(plain, without), append(keyed, with)
		}
	}
	for _, x := range []struct {
		work string
		took []float64
	}{{"a message sent, median", plain}, {"  with an idempotency key, which is stored first", keyed}} {
		added := median(x.took) - median(bare)
		m.report.add(row{
			work: x.work, measured: fmt.Sprintf("%.2f ms", median(x.took)), reference: fmt.Sprintf("%.2f ms", median(bare)),
			ratio: fmt.Sprintf("+%.2f ms", added), budget: fmt.Sprintf("≤ +%d ms", addedBudget), met: added <= addedBudget,
		})
	}
	m.report.add(told("  99th percentile: bare, without a key, with one", "%.1f, %.1f, %.1f ms", p99(bare), p99(plain), p99(keyed)))
	m.report.check(m.arrived(0)-before == 3*each, "of %d messages %d arrived", 3*each, m.arrived(0)-before)
	return nil
}

func p99(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)*99/100]
}

// crowd lets 500 send at once on one channel, and one on the other.
func (m *sending) crowd(ctx context.Context) error {
	const senders, rounds, alone = 500, 3, 20
	if err := m.limitRate(ctx, crowdRate); err != nil {
		return err
	}
	time.Sleep(2 * time.Second) // until the binary knows
	say("%d senders send %d messages each on one channel, and one sender %d on another", senders, rounds, alone)
	residentBefore, _, err := memory(m.webhook.PID())
	if err != nil {
		return err
	}
	forgetPeak(m.webhook.PID())
	before, beforeAlone := m.arrived(0), m.arrived(1)
	var (
		mu      sync.Mutex
		wg      sync.WaitGroup
		sent    int
		busy    int
		loud    []float64
		quiet   []float64
		failure error
	)
	note := func(status int, retryAfter string, took time.Duration, err error, waits *[]float64) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			failure = err
		case status == http.StatusCreated:
			*waits = append(*waits, milliseconds(took))
		case retryAfter == "":
			failure = fmt.Errorf("a message was answered %d without Retry-After", status)
		default:
			busy++
		}
	}
	for i := range senders {
		wg.Go(func() {
			for round := range rounds {
				status, after, took, err := m.send(ctx, 0, fmt.Sprintf("crowd %d %d", i, round), fmt.Sprintf("crowd %d %d", i, round))
				note(status, after, took, err, &loud)
			}
		})
	}
	time.Sleep(time.Second) // the crowd is there first
	refusedAlone := 0
	for i := range alone {
		status, after, took, err := m.send(ctx, 1, fmt.Sprint("alone ", i), fmt.Sprint("alone ", i))
		if status == http.StatusTooManyRequests {
			refusedAlone++
		}
		note(status, after, took, err, &quiet)
	}
	wg.Wait()
	if failure != nil {
		return failure
	}
	sent = len(loud) + len(quiet)
	_, peak, err := memory(m.webhook.PID())
	if err != nil {
		return err
	}
	m.report.add(
		told("500 senders on one channel: sent, told when to come back", "%d, %d", len(loud), busy),
		told("  their wait, median", "%.0f ms", medianOf(loud)),
		told("  one sender on another channel: sent, wait", "%d of %d, %.0f ms", len(quiet), alone, medianOf(quiet)),
		told("  webhook binary's memory: before, peak", "%.0f, %.0f MiB", residentBefore, peak))
	m.report.check(m.arrived(0)-before == len(loud) && m.arrived(1)-beforeAlone == len(quiet),
		"of the crowd's %d messages %d arrived, of the other's %d %d", len(loud), m.arrived(0)-before, len(quiet), m.arrived(1)-beforeAlone)
	m.report.check(sent > 0 && refusedAlone == 0, "the one sender was sent away %d times", refusedAlone)
	return nil
}

func medianOf(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	return median(all)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
