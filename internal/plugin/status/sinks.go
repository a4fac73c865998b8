package status

import (
	"context"
	"fmt"
	"io"
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

// waiting asks the private API what waits for the channel's sinks, by their names.
func waiting(ctx context.Context, g *gateway.Gateway, c *v1alpha1.TiktokChannel) (map[string]sinkapi.Sink, error) {
	if len(c.Spec.Sinks) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var list sinkapi.List
	if err := g.Do(ctx, http.MethodGet, gateway.Path(client.ObjectKeyFromObject(c), "sinks"), nil, &list); err != nil {
		return nil, err
	}
	sinks := map[string]sinkapi.Sink{}
	for _, s := range list.Items {
		sinks[s.Name] = s
	}
	return sinks, nil
}

func sinks(w io.Writer, c *v1alpha1.TiktokChannel, about extras) {
	if len(c.Spec.Sinks) == 0 {
		return
	}
	_, _ = fmt.Fprintln(w, "\nSINK\tSTATE\tSINCE\tWAITING\tOLDEST\tMESSAGE")
	for i := range c.Spec.Sinks {
		s := sinkStatus(c, c.Spec.Sinks[i].Name)
		pending, oldest := "?", "-"
		if counted := about.waiting[s.Name]; counted.Pending != nil {
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
