package status

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/gateway"
	"github.com/tiktok-operator/tiktok-operator/internal/sinkapi"
)

// patience with the private API: the rest of the screen comes from the cluster.
const patience = 5 * time.Second

// looked is how many conversations are looked at for open windows. Those are the newest, which are the ones that have one: a window ends a while
// after the user's last message.
const looked = 100

// windows are in how many conversations the business may send now.
type windows struct {
	// Conversations that were looked at, the newest.
	Conversations int `json:"conversations"`
	// More says that there are more conversations.
	More bool `json:"more"`
	// Open and Unknown count windows.
	Open    int `json:"open"`
	Unknown int `json:"unknown"`
	// NextClosesAt is when the first of those that are open closes.
	NextClosesAt *time.Time `json:"nextClosesAt,omitempty"`
}

// conversations are the beginning of the private API's list.
type conversations struct {
	Items []struct {
		Window struct {
			Known, Open bool
			Until       *time.Time
		}
	}
	Continue string
}

func (c *conversations) windows() *windows {
	w := &windows{Conversations: len(c.Items), More: c.Continue != ""}
	for _, item := range c.Items {
		switch until := item.Window.Until; {
		case !item.Window.Known:
			w.Unknown++
		case item.Window.Open:
			w.Open++
			if until != nil && (w.NextClosesAt == nil || until.Before(*w.NextClosesAt)) {
				w.NextClosesAt = until
			}
		}
	}
	return w
}

// text is a line of a screen.
func (w *windows) text(now time.Time) string {
	of := fmt.Sprintf("%d", w.Conversations)
	if w.More {
		of = "the newest " + of
	}
	text := fmt.Sprintf("%d of %s conversations", w.Open, of)
	if w.Unknown > 0 {
		text += fmt.Sprintf(", of %d it is unknown", w.Unknown)
	}
	if w.NextClosesAt != nil {
		text += ", the next closes " + relative(&metav1.Time{Time: *w.NextClosesAt}, now)
	}
	return text
}

// ask asks the private API what waits for the channel's sinks, and which windows are open.
func (e *extras) ask(ctx context.Context, g *gateway.Gateway, c *v1alpha1.TiktokChannel) {
	var counted sinkapi.List
	var listed *conversations
	key := client.ObjectKeyFromObject(c)
	type question struct {
		what, path string
		answer     any
	}
	var questions []question
	if len(c.Spec.Sinks) > 0 {
		questions = append(questions, question{"What waits for the sinks", gateway.Path(key, "sinks"), &counted})
	}
	if c.Status.BusinessID != "" { // nobody has written to a channel that never had one
		questions = append(questions, question{
			"Which windows are open", gateway.Path(key, "conversations") + "?limit=" + strconv.Itoa(looked), &listed,
		})
	}
	if len(questions) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := g.With(ctx, func(s *gateway.Session) error {
		for _, q := range questions {
			err := s.Do(ctx, http.MethodGet, q.path, nil, q.answer)
			refused := new(gateway.ProblemError)
			switch {
			case err == nil:
			case errors.As(err, &refused) && !g.NeedsAccount(err): // the roles for the two differ
				e.problems = append(e.problems, fmt.Sprintf("%s cannot be read: %v", q.what, err))
			default:
				return err
			}
		}
		return nil
	})
	switch {
	case err != nil && g.NeedsAccount(err):
		e.problems = append(e.problems, "Add --as-service-account NAME to see what waits for the sinks, and which windows are open.")
	case err != nil:
		e.problems = append(e.problems, fmt.Sprintf("What waits for the sinks cannot be read, nor which windows are open: %v", err))
	}
	e.waiting = counted.Items
	if listed != nil {
		e.windows = listed.windows()
	}
}
