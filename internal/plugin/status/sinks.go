package status

import (
	"context"
	"fmt"
	"io"
	"slices"
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

// waiting asks the private API what waits for the channel's sinks.
func waiting(ctx context.Context, g *gateway.Gateway, c *v1alpha1.TiktokChannel) ([]sinkapi.Sink, error) {
	if len(c.Spec.Sinks) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var list sinkapi.List
	err := g.Get(ctx, gateway.Path(client.ObjectKeyFromObject(c), "sinks"), &list)
	return list.Items, err
}

func sinks(w io.Writer, c *v1alpha1.TiktokChannel, about extras) {
	if len(c.Spec.Sinks) == 0 {
		return
	}
	_, _ = fmt.Fprintln(w, "\nSINK\tSTATE\tSINCE\tWAITING\tOLDEST\tMESSAGE")
	for i := range c.Spec.Sinks {
		s := sinkStatus(c, c.Spec.Sinks[i].Name)
		pending, oldest := "?", "-"
		counted := sinkapi.Sink{}
		if at := slices.IndexFunc(about.waiting, func(w sinkapi.Sink) bool { return w.Name == s.Name }); at >= 0 {
			counted = about.waiting[at]
		}
		if counted.Pending != nil {
			pending = strconv.Itoa(*counted.Pending)
			if counted.AtLeast {
				pending += "+"
			}
			if counted.OldestAt != nil {
				oldest = relative(&metav1.Time{Time: *counted.OldestAt}, about.now)
			}
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, s.State, relative(&s.Since, about.now), pending, oldest, s.Message)
	}
}
