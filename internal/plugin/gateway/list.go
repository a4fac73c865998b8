package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tiktok-operator/tiktok-operator/internal/plugin/output"
)

// maxPage is as many items as every list of the API gives at once.
const maxPage = 100

// page is what the API answers to the request for a list, or several such answers in one.
type page struct {
	Items    []json.RawMessage `json:"items"`
	Continue string            `json:"continue,omitempty"`
}

// List shows a list of the API. Its zero value is good.
type List struct {
	output output.Flag
	limit  uint
}

// AddFlags adds how the list is shown, and how much of it.
func (l *List) AddFlags(cmd *cobra.Command) {
	l.output.Add(cmd, "json or yaml: as the private API answers; wide: a table with more columns. Default: a table",
		output.JSON, output.YAML, output.Wide)
	cmd.Flags().UintVar(&l.limit, "limit", 100, "How many to show; 0 for all")
}

// Show asks for what is at a path. For a table, the items are decoded into a pointer to a slice. That there are more is said on standard error.
func (l *List) Show(cmd *cobra.Command, g *Gateway, path string, query url.Values, items any, table func(w io.Writer, wide bool)) error {
	var all *page
	err := g.With(cmd.Context(), func(s *Session) (err error) {
		all, err = s.pages(cmd.Context(), path, query, int(l.limit))
		return err
	})
	if err != nil {
		return err
	}
	if all.Continue != "" {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "There are more than these %d; --limit shows as many as it says, and --limit=0 all.\n", len(all.Items))
	}
	if l.output.Structured() {
		return l.output.Print(cmd.OutOrStdout(), all)
	}
	text, err := json.Marshal(all.Items)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	if err := json.Unmarshal(text, items); err != nil {
		return fmt.Errorf("decoding the answer: %w", err)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
	table(w, l.output.Wide())
	return w.Flush()
}

// pages asks for one page after the other, up to a limit, if that is above zero.
func (s *Session) pages(ctx context.Context, path string, query url.Values, limit int) (*page, error) {
	all := &page{Items: []json.RawMessage{}}
	values := url.Values{}
	for name := range query {
		values[name] = query[name]
	}
	for {
		size := maxPage
		if limit > 0 {
			size = min(size, limit-len(all.Items))
		}
		values.Set("limit", strconv.Itoa(size))
		var next page
		if err := s.Do(ctx, http.MethodGet, path+"?"+values.Encode(), nil, &next); err != nil {
			return nil, err
		}
		all.Items, all.Continue = append(all.Items, next.Items...), next.Continue
		if next.Continue == "" || (limit > 0 && len(all.Items) >= limit) {
			return all, nil
		}
		values.Set("continue", next.Continue)
	}
}

// IDs are those of the first items at a path, to complete a word.
func (g *Gateway) IDs(ctx context.Context, path string) ([]string, error) {
	var all struct{ Items []struct{ ID string } }
	if err := g.Get(ctx, path+"?limit="+strconv.Itoa(maxPage), &all); err != nil {
		return nil, err
	}
	var ids []string
	for _, item := range all.Items {
		ids = append(ids, item.ID)
	}
	return ids, nil
}
