package messagingapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
	"github.com/tiktok-operator/tiktok-operator/internal/business"
	"github.com/tiktok-operator/tiktok-operator/internal/channelapi"
	"github.com/tiktok-operator/tiktok-operator/internal/conversation"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/projection"
)

// Patterns of what reads.
const (
	ListPattern     = "GET " + channelPath + "/conversations"
	GetPattern      = "GET " + conversationPath
	MessagesPattern = "GET " + conversationPath + "/messages"
	MessagePattern  = "GET " + conversationPath + "/messages/{message}"
	MediaPattern    = "GET " + conversationPath + "/messages/{message}/media"
	EventsPattern   = "GET " + channelPath + "/events"
)

// EventsSubresource of tiktokchannels that callers must be allowed to watch.
const EventsSubresource = "events"

// Reading is what the ReadRoutes need. All of it is required.
type Reading struct {
	Conversations Conversations
	Images        Images
	Sessions      Sessions
	Throttle      Throttle
	Streams       *Streams
}

// Conversations lists them. *projection.Index is one.
type Conversations interface {
	Conversations(ctx context.Context, channelUID string, before uint64, limit int) (page []projection.Place, more bool, err error)
	Epoch() int64
}

// Images says whether images may be sent. *capability.Cache is one.
type Images interface {
	Images(ctx context.Context, ch *v1alpha1.TiktokChannel, conversationID string, answered bool) messaging.Capability
}

// Sessions give what calls for a channel need. *business.Sessions is one.
type Sessions interface {
	Session(ctx context.Context, ch *v1alpha1.TiktokChannel) (*business.Session, error)
	Forget(channelUID string)
}

// Throttle is told of TikTok's errors, some of which say that there were too many requests. *appclient.Pool is one.
type Throttle interface {
	Throttled(app *v1alpha1.TiktokApp, err error) time.Duration
}

func (r *Reading) validate() error {
	if r.Conversations == nil || r.Images == nil || r.Sessions == nil || r.Throttle == nil || r.Streams == nil {
		return errors.New("reading needs Conversations, Images, Sessions, a Throttle and Streams")
	}
	return nil
}

// ReadRoutes are the calls that read.
func (a *API) ReadRoutes() []channelapi.Route {
	if a.opts.Reading == nil {
		return nil
	}
	return []channelapi.Route{
		{Pattern: ListPattern, Verb: "list", Subresource: Subresource, Handle: a.listConversations},
		{Pattern: GetPattern, Verb: "get", Subresource: Subresource, Handle: a.getConversation},
		{Pattern: MessagesPattern, Verb: "list", Subresource: Subresource, Handle: a.listMessages},
		{Pattern: MessagePattern, Verb: "get", Subresource: Subresource, Handle: a.getMessage},
		{Pattern: MediaPattern, Verb: "get", Subresource: Subresource, Handle: a.media},
		{Pattern: EventsPattern, Verb: "watch", Subresource: EventsSubresource, Handle: a.events},
	}
}

func (a *API) listConversations(w http.ResponseWriter, r *http.Request) {
	a.endpoint.Serve(w, r, func(ctx context.Context, ch *v1alpha1.TiktokChannel) (int, any, error) {
		q, err := parsePage(r.URL.Query())
		if err != nil {
			return 0, nil, err
		}
		before, err := parsePlace(q.from, a.opts.Reading.Conversations.Epoch())
		if err != nil {
			return 0, nil, err
		}
		list := ConversationList{Items: []Conversation{}}
		for len(list.Items) < q.limit {
			places, more, err := a.opts.Reading.Conversations.Conversations(ctx, string(ch.UID), before, q.limit-len(list.Items))
			if err != nil {
				return 0, nil, err
			}
			for _, p := range places {
				before = p.Sequence
				state, known, err := a.opts.States.State(ctx, ch, p.ID)
				if err != nil {
					return 0, nil, err
				}
				if known { // else its events have reached the end of their retention
					list.Items = append(list.Items, conversationOf(state, a.opts.Clock.Now()))
				}
			}
			if !more {
				return http.StatusOK, list, nil
			}
		}
		list.Continue = formatPlace(before, a.opts.Reading.Conversations.Epoch())
		return http.StatusOK, list, nil
	})
}

func (a *API) getConversation(w http.ResponseWriter, r *http.Request) {
	a.endpoint.Serve(w, r, func(ctx context.Context, ch *v1alpha1.TiktokChannel) (int, any, error) {
		if err := noParameters(r); err != nil {
			return 0, nil, err
		}
		state, err := a.conversation(ctx, ch, r)
		if err != nil {
			return 0, nil, err
		}
		c := conversationOf(state, a.opts.Clock.Now())
		switch a.opts.Reading.Images.Images(ctx, ch, c.ID, state.Answered()) {
		case messaging.CapabilityYes:
			c.Images = "yes"
		case messaging.CapabilityNo:
			c.Images = "no"
		default:
			c.Images = "unknown"
		}
		return http.StatusOK, c, nil
	})
}

// conversation is the one that the path names.
func (a *API) conversation(ctx context.Context, ch *v1alpha1.TiktokChannel, r *http.Request) (conversation.State, error) {
	id, err := conversationID(r)
	if err != nil {
		return conversation.State{}, err
	}
	a.opts.Sender.AwaitStored(ctx, ch, id)
	state, known, err := a.opts.States.State(ctx, ch, id)
	switch {
	case err != nil:
		return conversation.State{}, err
	case !known:
		return conversation.State{}, problem.NotFound(fmt.Sprintf("The channel has no stored event of a conversation %.100q: its id is wrong, "+
			"or nothing has happened in it for as long as events are kept.", id))
	}
	return state, nil
}
