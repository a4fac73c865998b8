package tiktok_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const (
	appID     = "7012345678901234567"
	appSecret = tiktok.Secret("app/s3cret+with=odd&chars")
	access    = tiktok.Secret("act.access-token-1")
	refresh   = tiktok.Secret("rft.refresh-token-1")
	authCode  = "auth-code*v!1"
)

// seen is a request as the server received it.
type seen struct {
	method, path string
	rawQuery     string
	query        map[string][]string
	header       http.Header
	body         string
}

// fakeTikTok answers with a handler and remembers what it was asked.
type fakeTikTok struct {
	*httptest.Server
	mu       sync.Mutex
	requests []seen
}

func serve(t *testing.T, handler http.HandlerFunc) *fakeTikTok {
	t.Helper()
	f := &fakeTikTok{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		f.mu.Lock()
		f.requests = append(f.requests, seen{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.URL.Query(), r.Header.Clone(), string(body)})
		f.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeTikTok) taken() []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]seen(nil), f.requests...)
}

// answer is a handler that always answers the same.
func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("X-Tt-Logid", "log-1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func answerJSON(body string) http.HandlerFunc { return answer(http.StatusOK, "application/json", body) }

func newClient(t *testing.T, endpoint string, change ...func(*tiktok.Config)) *tiktok.Client {
	t.Helper()
	config := tiktok.Config{AppID: appID, AppSecret: appSecret, APIEndpoint: endpoint}
	for _, c := range change {
		c(&config)
	}
	client, err := tiktok.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// calls are all calls of the client, by the endpoint that they make, but for those of media, whose bodies and steps are others.
var calls = map[string]func(context.Context, *tiktok.Client) error{
	"tt_user/oauth2/token/": func(ctx context.Context, c *tiktok.Client) error {
		_, err := c.ExchangeCode(ctx, authCode, "https://op.example.com/oauth/callback/")
		return err
	},
	"tt_user/oauth2/refresh_token/": func(ctx context.Context, c *tiktok.Client) error {
		_, err := c.RefreshToken(ctx, refresh)
		return err
	},
	"tt_user/oauth2/revoke/": func(ctx context.Context, c *tiktok.Client) error { return c.RevokeToken(ctx, access) },
	"tt_user/token_info/get/": func(ctx context.Context, c *tiktok.Client) error {
		_, err := c.TokenInfo(ctx, access)
		return err
	},
	"business/get/": func(ctx context.Context, c *tiktok.Client) error {
		_, err := c.BusinessProfile(ctx, access, "-000biz")
		return err
	},
	"business/webhook/list/": func(ctx context.Context, c *tiktok.Client) error {
		_, err := c.Webhook(ctx, "DIRECT_MESSAGE")
		return err
	},
	"business/webhook/update/": func(ctx context.Context, c *tiktok.Client) error {
		return c.UpdateWebhook(ctx, "DIRECT_MESSAGE", "https://op.example.com/webhooks/main")
	},
	"business/webhook/delete/": func(ctx context.Context, c *tiktok.Client) error { return c.DeleteWebhook(ctx, "DIRECT_MESSAGE") },
	"business/message/conversation/list/": func(ctx context.Context, c *tiktok.Client) error {
		_, err := c.Conversations(ctx, access, "-000biz", tiktok.ConversationStranger, 50, "7+/=")
		return err
	},
	"business/message/content/list/": func(ctx context.Context, c *tiktok.Client) error {
		_, err := c.ConversationMessages(ctx, access, "-000biz", "conv+/==")
		return err
	},
	"business/message/send/": func(ctx context.Context, c *tiktok.Client) error {
		_, err := c.SendMessage(ctx, access, "-000biz", "conv+/==", tiktok.OutgoingMessage{Text: "hi", QuotedMessageID: "7"})
		return err
	},
	"business/message/capabilities/get/": func(ctx context.Context, c *tiktok.Client) error {
		_, err := c.ImageCapability(ctx, access, "-000biz", "conv+/==", tiktok.ConversationSingle)
		return err
	},
}

func asError(t *testing.T, err error) *tiktok.Error {
	t.Helper()
	var e *tiktok.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %T %v, want a *tiktok.Error", err, err)
	}
	return e
}

// soon is a context for calls that are to end by themselves.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
