package openapi_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	ht "github.com/ogen-go/ogen/http"

	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/messagingapi/messagingapitest"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound/outboundtest"
	"github.com/tiktok-operator/tiktok-operator/test/openapi/client"
)

// token is what the client sends.
type token struct{}

func (token) Token(context.Context, client.OperationName) (client.Token, error) {
	return client.Token{Token: "of-a-service-account"}, nil
}

// connect makes a client of the API on a bench.
func connect(t *testing.T) (*client.Client, *outboundtest.Bench) {
	t.Helper()
	b := outboundtest.New(t)
	api, _ := messagingapitest.New(b, messaging.Lenient, logr.Discard())
	mux := http.NewServeMux()
	for _, route := range messagingapitest.Routes(api) {
		mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer of-a-service-account" {
				t.Errorf("%s came without the token", route.Pattern)
			}
			route.Handle(w, r)
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	passing, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(stop)
	go b.Pass(passing)
	c, err := client.NewClient(server.URL, token{})
	if err != nil {
		t.Fatal(err)
	}
	return c, b
}

func TestGeneratedClient(t *testing.T) {
	c, b := connect(t)
	ctx := t.Context()
	send := client.SendMessageParams{
		Namespace: "shop", Name: "main", Conversation: b.Conversation, IdempotencyKey: client.NewOptString("order-66"),
	}
	text := &client.SendRequest{Text: client.NewOptString("They are on their way!")}
	sent, err := c.SendMessage(ctx, text, send)
	if err != nil {
		t.Fatal(err)
	}
	id := sent.Response.ID.Value
	if id == "" || sent.Response.Status.Value != client.MessageStatusSent {
		t.Errorf("sent %+v", sent)
	}
	again, err := c.SendMessage(ctx, text, send)
	if err != nil || again.Response.ID.Value != id || again.IdempotencyReplayed.Value != "true" {
		t.Errorf("repeated: %+v, %v", again, err)
	}

	var file bytes.Buffer
	if err := png.Encode(&file, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	form := &client.SendMessageReqMultipartFormData{Image: ht.MultipartFile{Name: "heart.png", File: &file}}
	send.IdempotencyKey.Reset()
	if sent, err = c.SendMessage(ctx, form, send); err != nil || sent.Response.Data.Kind.Value != "image" {
		t.Errorf("an image: %+v, %v", sent, err)
	}
	b.WantArrived(2)

	page, err := c.ListConversations(ctx, client.ListConversationsParams{Namespace: "shop", Name: "main"})
	if err != nil || len(page.Items) != 1 || page.Items[0].ID != b.Conversation || !page.Items[0].Window.Open {
		t.Fatalf("conversations: %+v, %v", page, err)
	}
	messages, err := c.ListMessages(ctx, client.ListMessagesParams{Namespace: "shop", Name: "main", Conversation: b.Conversation})
	if err != nil || len(messages.Items) != 4 {
		t.Fatalf("messages: %+v, %v", messages, err)
	}
	one, err := c.GetMessage(ctx, client.GetMessageParams{Namespace: "shop", Name: "main", Conversation: b.Conversation, Message: id})
	if err != nil || one.Data.Text.Value != "They are on their way!" {
		t.Errorf("message: %+v, %v", one, err)
	}
	if err := c.ShowTyping(ctx, client.ShowTypingParams{Namespace: "shop", Name: "main", Conversation: b.Conversation}); err != nil {
		t.Error(err)
	}

	_, err = c.SendMessage(ctx, &client.SendRequest{Text: client.NewOptString(strings.Repeat("x", 6001))}, send)
	var refused *client.ProblemStatusCodeWithHeaders
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusUnprocessableEntity ||
		!strings.HasSuffix(refused.Response.Type, "/text-too-long") || refused.Response.Detail.Value == "" {
		t.Errorf("a text that is too long: %v", err)
	}
}
