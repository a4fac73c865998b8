package status

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/sinkapi"
)

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
