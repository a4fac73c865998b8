package messagingapi

import (
	"context"
	"net/http"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
	"github.com/tiktok-operator/tiktok-operator/internal/channelapi"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/tracing"
)

// Patterns of what changes something at TikTok.
const (
	SendPattern   = "POST " + conversationPath + "/messages"
	TypingPattern = "POST " + conversationPath + "/typing"
	ReadPattern   = "POST " + conversationPath + "/read"
)

const (
	// KeyHeader has the key under which a repeated request is recognised.
	KeyHeader = "Idempotency-Key"
	// ReplayedHeader says that the answer is that of an earlier request with the same key.
	ReplayedHeader = "Idempotency-Replayed"

	maxKey = 255
	// maxConversationID is far beyond any of TikTok's.
	maxConversationID = 512
)

// Sender sends. *outbound.Sender is one.
type Sender interface {
	Send(ctx context.Context, r outbound.Request) (*outbound.Sent, error)
	Act(ctx context.Context, ch *v1alpha1.TiktokChannel, conversationID string, action tiktok.SenderAction) error
	// AwaitStored waits a moment until what was sent can be read.
	AwaitStored(ctx context.Context, ch *v1alpha1.TiktokChannel, conversationID string)
}

// SendRoutes are the calls that change something at TikTok.
func (a *API) SendRoutes() []channelapi.Route {
	return []channelapi.Route{
		{Pattern: SendPattern, Verb: "create", Subresource: Subresource, Handle: a.send},
		{Pattern: TypingPattern, Verb: "create", Subresource: Subresource, Handle: a.act(tiktok.ActionTyping)},
		{Pattern: ReadPattern, Verb: "create", Subresource: Subresource, Handle: a.act(tiktok.ActionMarkRead)},
	}
}

func (a *API) send(w http.ResponseWriter, r *http.Request) {
	// A request that waits for its turn, for an earlier one and for a new token takes this long.
	endpoint := a.endpoint
	endpoint.Timeout = sendTimeout
	_ = http.NewResponseController(w).SetWriteDeadline(a.opts.Clock.Now().Add(sendTimeout + 10*time.Second)) // the server's is for short calls
	endpoint.Serve(w, r, func(ctx context.Context, ch *v1alpha1.TiktokChannel) (int, any, error) {
		id, err := conversationID(r)
		if err != nil {
			return 0, nil, err
		}
		key, err := idempotencyKey(r.Header)
		if err != nil {
			return 0, nil, err
		}
		if isForm(r) { // an image stays in memory until it has been sent
			giveBack, ok := a.forms.take(string(ch.UID))
			if !ok {
				return 0, nil, a.forms.tooMany("too-many-uploads", "messages with an image")
			}
			defer giveBack()
		}
		message, image, err := readMessage(w, r)
		if err != nil {
			return 0, nil, err
		}
		request := outbound.Request{
			Channel: ch, ConversationID: id, Message: message, Image: image, IdempotencyKey: key, Trace: tracing.Place(r),
		}
		sent, err := a.opts.Sender.Send(ctx, request)
		if err != nil {
			return 0, nil, sendProblem(err)
		}
		if sent.Replayed {
			w.Header().Set(ReplayedHeader, "true")
		}
		return http.StatusCreated, a.sentMessage(ctx, ch, request, sent), nil
	})
}

// sentMessage is the message as reading it gives it. Of one that was sent just now the events may not be stored yet.
func (a *API) sentMessage(ctx context.Context, ch *v1alpha1.TiktokChannel, r outbound.Request, sent *outbound.Sent) Message {
	if sent.Replayed {
		if state, _, err := a.opts.States.State(ctx, ch, r.ConversationID); err == nil {
			if m := state.Message(sent.SendID); m != nil && m.Status.Supersedes(cloudevent.StatusFailed) {
				return messageOf(*m)
			}
		}
	}
	data := &cloudevent.Data{
		BusinessID: ch.Status.BusinessID, ConversationID: r.ConversationID, MessageID: sent.MessageID, Direction: cloudevent.Outbound,
		Origin: cloudevent.OriginAPI, Kind: sent.Summary.Kind, ReplyTo: r.Message.QuotedMessageID,
	}
	if r.Message.Text != "" {
		data.Text = &r.Message.Text
	}
	return Message{
		ID: sent.MessageID, SendID: sent.SendID, IdempotencyKey: r.IdempotencyKey, Time: sent.AcceptedAt.UTC(), Status: cloudevent.StatusSent,
		Partial: true, Data: MessageData{Data: data},
	}
}

func (a *API) act(action tiktok.SenderAction) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.endpoint.Serve(w, r, func(ctx context.Context, ch *v1alpha1.TiktokChannel) (int, any, error) {
			id, err := conversationID(r)
			if err != nil {
				return 0, nil, err
			}
			if err := a.opts.Sender.Act(ctx, ch, id, action); err != nil {
				return 0, nil, sendProblem(err)
			}
			return http.StatusNoContent, nil, nil
		})
	}
}

func conversationID(r *http.Request) (string, error) {
	id := r.PathValue("conversation")
	if id == "" || len(id) > maxConversationID || !printable(id) {
		return "", problem.NotFound("The path does not name a conversation: its id is TikTok's, percent-encoded.")
	}
	return id, nil
}

func idempotencyKey(h http.Header) (string, error) {
	values := h.Values(KeyHeader)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1 || values[0] == "" || len(values[0]) > maxKey || !printable(values[0]):
		return "", problem.Invalid("The header Idempotency-Key is one text of 1 to 255 printable ASCII characters.")
	}
	return values[0], nil
}

// printable says whether a text is of printable ASCII characters.
func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
