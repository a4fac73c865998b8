package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const (
	appSecret     = "load-app-secret"
	appID         = "load-app"
	conversations = 64 // over all businesses
	businesses    = 8
)

// message is the webhook of the nth message: of one of many conversations, each with its number in the text. It is put together by hand,
// since the processors are shared with what is measured.
func message(n int) []byte { return messageOf(n, conversations) }

// messageOf is the same for another number of conversations.
func messageOf(n, conversations int) []byte {
	conversation, now := n%conversations, time.Now()
	business := fmt.Sprintf("load-business-%d", conversation%businesses)
	content := fmt.Sprintf(`{"from":"user%[1]d","to":"shop","unique_identifier":"uid-%[1]d",`+
		`"from_user":{"id":"user-%[1]d","role":"personal_account"},"to_user":{"id":"%[2]s","role":"business_account"},`+
		`"conversation_id":"conversation-%[1]d","message_id":"%[3]d","timestamp":%[4]d,"is_follower":true,"scene_type":1,`+
		`"type":"text","text":{"body":"%[5]s Is this still available, and can it be here by Friday?"}}`,
		conversation, business, 7_500_000_000_000_000_000+n, now.UnixMilli(), marker(n))
	return fmt.Appendf(nil, `{"client_key":"%s","event":"im_receive_msg","create_time":%d,"user_openid":"%s","content":"%s"}`,
		appID, now.Unix(), business, strings.ReplaceAll(content, `"`, `\"`))
}

// marker is how the nth message is found again, wherever it went.
func marker(n int) string { return fmt.Sprintf("[%09d]", n) }

// numberOf reads a marker; -1 if there is none.
func numberOf(text []byte) int {
	for {
		i := bytes.IndexByte(text, '[')
		if i < 0 || i+11 > len(text) {
			return -1
		}
		if n, err := strconv.Atoi(string(text[i+1 : i+10])); err == nil && text[i+10] == ']' {
			return n
		}
		text = text[i+1:]
	}
}

// webhookSender sends signed webhooks over connections of its own.
type webhookSender struct {
	url    string
	client *http.Client
}

func newSender(url string, connections int) *webhookSender {
	return &webhookSender{url: url, client: &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections},
	}}
}

func (w *webhookSender) send(ctx context.Context, body []byte) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body)) //nolint:gosec // loopback, started here
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(tiktok.SignatureHeader, tiktok.Sign(appSecret, body, time.Now()))
	resp, err := w.client.Do(req) //nolint:gosec // as above
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // the connection is used again
	return resp.StatusCode, nil
}

// mustSend fails unless the webhook is accepted.
func (w *webhookSender) mustSend(ctx context.Context, body []byte) error {
	status, err := w.send(ctx, body)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("a webhook was answered %d", status)
	}
	return err
}

// sent is what came of sending for a while.
type sent struct {
	accepted  []int // numbers of the messages that were answered 200
	refused   int
	took      time.Duration
	latencies []time.Duration
}

// sendMany sends messages numbered by next, from many senders at once, until stop says so.
func (w *webhookSender) sendMany(ctx context.Context, senders int, next *atomic.Int64, stop func() bool) (*sent, error) {
	var (
		mu      sync.Mutex
		wg      sync.WaitGroup
		out     = &sent{}
		failure error
	)
	began := time.Now()
	for range senders {
		wg.Go(func() {
			var mine sent
			var failed error
			for failed == nil && !stop() && ctx.Err() == nil {
				n := int(next.Add(1) - 1)
				body := message(n)
				before := time.Now()
				status, err := w.send(ctx, body)
				mine.latencies = append(mine.latencies, time.Since(before))
				switch {
				case err != nil:
					failed = err
				case status == http.StatusOK:
					mine.accepted = append(mine.accepted, n)
				default:
					mine.refused++
				}
			}
			mu.Lock()
			defer mu.Unlock()
			out.accepted, out.latencies = append(out.accepted, mine.accepted...), append(out.latencies, mine.latencies...)
			out.refused += mine.refused
			if failed != nil {
				failure = fmt.Errorf("sending a webhook: %w", failed)
			}
		})
	}
	wg.Wait()
	out.took = time.Since(began)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return out, failure
}

// createBusinesses makes an app and the channels of a number of businesses, as a manager leaves them. change may alter them.
func (s *stage) createBusinesses(ctx context.Context, n int, change func(*v1alpha1.TiktokChannel)) ([]*v1alpha1.TiktokChannel, error) {
	app := &v1alpha1.TiktokApp{
		ObjectMeta: metav1.ObjectMeta{Name: appName},
		Spec: v1alpha1.TiktokAppSpec{
			AppID: appID, PublicURL: "http://127.0.0.1:8080",
			SecretRef: v1alpha1.AppSecretReference{Namespace: operatorNamespace, Name: appName},
		},
	}
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "load"}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: appName},
			StringData: map[string]string{v1alpha1.DefaultAppSecretKey: appSecret},
		},
		app,
	}
	channels := make([]*v1alpha1.TiktokChannel, n)
	for i := range channels {
		channels[i] = &v1alpha1.TiktokChannel{
			ObjectMeta: metav1.ObjectMeta{Namespace: "load", Name: fmt.Sprintf("shop-%d", i)},
			Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: appName}},
		}
		if change != nil {
			change(channels[i])
		}
	}
	for _, object := range objects {
		if err := s.k8s.Create(ctx, object); err != nil {
			return nil, fmt.Errorf("creating %T: %w", object, err)
		}
	}
	return channels, parallel(ctx, n, func(ctx context.Context, i int) error {
		ch := channels[i]
		if err := s.k8s.Create(ctx, ch); err != nil {
			return fmt.Errorf("creating a channel: %w", err)
		}
		base := ch.DeepCopy()
		ch.Status.BusinessID = fmt.Sprintf("load-business-%d", i)
		if err := s.k8s.Status().Patch(ctx, ch, client.MergeFrom(base)); err != nil {
			return fmt.Errorf("giving a channel its business: %w", err)
		}
		return nil
	})
}
