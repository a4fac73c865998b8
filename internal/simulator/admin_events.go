package simulator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

const maxBurst = 10_000

// eventJSON is what POST /admin/events takes.
type eventJSON struct {
	Event
	// Count sends so many, one after the other. With MessageID they are repeats of one webhook, byte for byte.
	Count int `json:"count"`
	// Wait for the first attempt of each. Default: true.
	Wait *bool `json:"wait"`
}

func (s *Simulator) adminSendEvents(r *http.Request) (any, error) {
	var in eventJSON
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if in.Count < 0 || in.Count > maxBurst {
		return nil, fmt.Errorf("count must be between 1 and %d", maxBurst)
	}
	if err := s.checkBusiness(in.Business); err != nil {
		return nil, err
	}
	in.NoWait = in.Wait != nil && !*in.Wait
	if in.Count > 1 {
		return s.burst(r.Context(), in)
	}
	d, err := s.SendEvent(r.Context(), in.Event)
	if err != nil {
		return nil, conflict(err)
	}
	return d, nil
}

// burst delivers in order: the next begins when the one before has had its first attempt.
func (s *Simulator) burst(ctx context.Context, in eventJSON) (any, error) {
	all := make([]*notification, 0, in.Count)
	for range in.Count {
		n, err := s.compose(in.Event)
		if err != nil {
			return nil, conflict(err)
		}
		if in.MessageID != "" && len(all) > 0 {
			n.body = all[0].body // a repeat is the same to the byte
		}
		all = append(all, n)
	}
	if err := s.deliverable(all[0]); err != nil {
		return nil, conflict(err)
	}
	deliveries := make([]Delivery, 0, in.Count)
	if in.NoWait {
		for _, n := range all {
			deliveries = append(deliveries, n.delivery)
		}
		s.life.spawn(func(ctx context.Context) {
			for i := 0; i < len(all) && ctx.Err() == nil; i++ {
				s.deliver(ctx, all[i])
			}
		})
		return map[string]any{"deliveries": deliveries}, nil
	}
	for i := 0; i < len(all) && ctx.Err() == nil; i++ { // until who asked has left
		deliveries = append(deliveries, s.deliver(ctx, all[i]))
	}
	return map[string]any{"deliveries": deliveries}, nil
}

// conflict tells what the simulator's state does not allow from what is wrong with the request.
func conflict(err error) error {
	if errors.Is(err, ErrNoWebhook) || errors.Is(err, ErrTooManyRetrying) || errors.Is(err, ErrNoButton) {
		return adminError{http.StatusConflict, err}
	}
	return err
}
