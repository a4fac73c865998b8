package messagingapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
	"github.com/tiktok-operator/tiktok-operator/internal/conversation"
)

func (a *API) listMessages(w http.ResponseWriter, r *http.Request) {
	a.endpoint.Serve(w, r, func(ctx context.Context, ch *v1alpha1.TiktokChannel) (int, any, error) {
		q, err := parsePage(r.URL.Query())
		if err != nil {
			return 0, nil, err
		}
		state, err := a.conversation(ctx, ch, r)
		if err != nil {
			return 0, nil, err
		}
		rest, err := following(state.Messages(), q.from)
		if err != nil {
			return 0, nil, err
		}
		list := MessageList{Items: []Message{}}
		for _, m := range rest[:min(q.limit, len(rest))] {
			list.Items = append(list.Items, messageOf(m))
		}
		if len(rest) > q.limit {
			list.Continue = formatMessage(rest[q.limit-1])
		}
		return http.StatusOK, list, nil
	})
}

func (a *API) getMessage(w http.ResponseWriter, r *http.Request) {
	a.endpoint.Serve(w, r, func(ctx context.Context, ch *v1alpha1.TiktokChannel) (int, any, error) {
		if err := noParameters(r); err != nil {
			return 0, nil, err
		}
		m, err := a.message(ctx, ch, r)
		if err != nil {
			return 0, nil, err
		}
		return http.StatusOK, messageOf(*m), nil
	})
}

// message is the one that the path names.
func (a *API) message(ctx context.Context, ch *v1alpha1.TiktokChannel, r *http.Request) (*conversation.Message, error) {
	state, err := a.conversation(ctx, ch, r)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("message")
	m := state.Message(id)
	if m == nil {
		return nil, problem.NotFound(fmt.Sprintf("The conversation has no message %.100q among its newest %d that are known.",
			id, conversation.MaxMessages))
	}
	return m, nil
}
