package messagingapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"

	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
	"github.com/tiktok-operator/tiktok-operator/internal/channelapi"
	"github.com/tiktok-operator/tiktok-operator/internal/deadletter"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/messagingapi"
	"github.com/tiktok-operator/tiktok-operator/internal/messagingapi/messagingapitest"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound/outboundtest"
	"github.com/tiktok-operator/tiktok-operator/internal/sinkapi"
)

// TestEveryCallIsDocumented: nothing is served that the document does not have, with the Role that it needs, and nothing is in it that is not served.
func TestEveryCallIsDocumented(t *testing.T) {
	server := httptest.NewServer(messagingapi.OpenAPI())
	t.Cleanup(server.Close)
	resp, err := http.Get(server.URL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Fatalf("no document of OpenAPI 3.1: %q, %v", doc.OpenAPI, err)
	}
	api, _ := messagingapitest.New(outboundtest.New(t), messaging.Lenient, logr.Discard())
	routes := slices.Concat(messagingapitest.Routes(api), (&deadletter.API{}).Routes(), (&sinkapi.API{}).Routes(), []channelapi.Route{
		{Pattern: "POST " + oauth.APIPattern, Verb: "create", Subresource: oauth.APISubresource},
	})
	served := map[string]bool{}
	for _, route := range routes {
		method, path, _ := strings.Cut(route.Pattern, " ")
		served[method+" "+path] = true
		call, ok := doc.Paths[path][strings.ToLower(method)]
		if !ok {
			t.Errorf("%s is not documented", route.Pattern)
			continue
		}
		if role := route.Verb + " on tiktokchannels/" + route.Subresource; !strings.Contains(string(call), role) {
			t.Errorf("%s does not say that it needs: %s", route.Pattern, role)
		}
	}
	for path, calls := range doc.Paths {
		for method := range calls {
			if method != "parameters" && !served[strings.ToUpper(method)+" "+path] {
				t.Errorf("%s %s is documented and not served", method, path)
			}
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("If-None-Match", resp.Header.Get("ETag"))
	again, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Body.Close()
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("asked again with its ETag, it is answered %d", again.StatusCode)
	}
}

// TestEveryReasonIsDocumented: the rules' reasons are names of problems.
func TestEveryReasonIsDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, p := range problem.Catalogue() {
		if documented[p.Name] || p.Meaning == "" || p.Todo == "" || p.Status < 400 {
			t.Errorf("%+v is there twice, or says too little", p)
		}
		documented[p.Name] = true
	}
	for _, reason := range messaging.Reasons() {
		if !documented[string(reason)] {
			t.Errorf("%s is not documented", reason)
		}
	}
}
