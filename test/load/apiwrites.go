package main

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/client-go/rest"
)

// apiWrites counts the writes that the API server has been asked for since its start, by "VERB resource", for the resources that the
// operator writes. It is the API server's own count: nobody's writes are missed. kube-apiserver keeps a Lease of its own alive, so that
// of updated Leases nothing is said; businessLeases tells.
type apiWrites map[string]int

var requestLine = regexp.MustCompile(`^apiserver_request_total\{(.*)\} (\S+)$`)

func (s *stage) apiWrites(ctx context.Context) (apiWrites, error) {
	web, err := rest.HTTPClientFor(s.config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	host, _, err := rest.DefaultServerUrlFor(s.config)
	if err != nil {
		return nil, fmt.Errorf("finding the API server: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, host.JoinPath("metrics").String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	resp, err := web.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reading the API server's metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading the API server's metrics: %s", resp.Status)
	}
	writes := apiWrites{}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m := requestLine.FindStringSubmatch(lines.Text()); m != nil {
			n, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				return nil, fmt.Errorf("reading the API server's metrics: %w", err)
			}
			if key := operatorsWrite(labels(m[1])); key != "" {
				writes[key] += int(n)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the API server's metrics: %w", err)
	}
	return writes, nil
}

func labels(text string) map[string]string {
	out := map[string]string{}
	for _, pair := range strings.Split(text, ",") {
		key, value, _ := strings.Cut(pair, "=")
		out[key] = strings.Trim(value, `"`)
	}
	return out
}

// operatorsWrite names a write that may be the operator's; "" for others.
func operatorsWrite(of map[string]string) string {
	resource, verb := of["resource"], of["verb"]
	switch verb {
	case "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION":
	default:
		return ""
	}
	switch resource {
	case "secrets", "tiktokchannels", "tiktokapps", "events":
	case "leases":
		if verb == "PUT" {
			return ""
		}
	default:
		return ""
	}
	if sub := of["subresource"]; sub != "" {
		resource += "/" + sub
	}
	if code := of["code"]; !strings.HasPrefix(code, "2") {
		resource += " (refused: " + code + ")"
	}
	return verb + " " + resource
}

// since are the writes after an earlier count.
func (w apiWrites) since(before apiWrites) apiWrites {
	out := apiWrites{}
	for key, n := range w {
		if n -= before[key]; n != 0 {
			out[key] = n
		}
	}
	return out
}

func (w apiWrites) total() int {
	total := 0
	for _, n := range w {
		total += n
	}
	return total
}

// String lists the writes for people.
func (w apiWrites) String() string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(w)) {
		parts = append(parts, fmt.Sprintf("%s %d", key, w[key]))
	}
	return strings.Join(parts, ", ")
}
