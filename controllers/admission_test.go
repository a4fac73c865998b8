package controllers

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

const (
	appYAML = `
apiVersion: channels.tiktok-operator.io/v1alpha1
kind: TiktokApp
metadata: {name: admission}
spec:
  appID: "7000"
  secretRef: {namespace: operator, name: x}
  publicURL: https://tiktok.example.com
`
	channelYAML = `
apiVersion: channels.tiktok-operator.io/v1alpha1
kind: TiktokChannel
metadata: {name: admission, namespace: unmanaged}
spec:
  appRef: {name: a}
`
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

// Every rule of the schema, with the words that the user sees.
func TestAdmissionRefuses(t *testing.T) {
	app := func(replace, with string) string { return strings.Replace(appYAML, replace, with, 1) }
	ch := func(more string) string { return channelYAML + more }
	for name, tc := range map[string]struct{ text, want string }{
		"app: no id":                  {app(`appID: "7000"`, `appID: ""`), "spec.appID"},
		"app: id with a space":        {app(`"7000"`, `"70 00"`), "appID may hold only letters, digits"},
		"app: http":                   {app("https://", "http://"), "publicURL must be an absolute https URL"},
		"app: not a URL":              {app("https://tiktok.example.com", "tiktok"), "publicURL must be an absolute https URL"},
		"app: query":                  {app("example.com", "example.com/?a=b"), "no query, fragment or user"},
		"app: fragment":               {app("example.com", "example.com/#a"), "no query, fragment or user"},
		"app: user":                   {app("https://", "https://me@"), "no query, fragment or user"},
		"app: port":                   {app("example.com", "example.com:8443"), "publicURL must not name a port"},
		"app: port for a simulator":   {app("example.com", "example.com:8443") + "  endpoints: {authorize: 'http://sim:9400/v2'}\n", "publicURL must not name a port"},
		"app: secret namespace":       {app("namespace: operator", "namespace: Operator"), "namespace must be a valid namespace name"},
		"app: secret name":            {app("name: x", "name: X_Y"), "name must be a valid Secret name"},
		"app: selector missing":       {appYAML + "  allowedNamespaces: {from: Selector}\n", "selector is required when from is Selector"},
		"app: selector without":       {appYAML + "  allowedNamespaces: {from: All, selector: {}}\n", "selector may be set only when from is Selector"},
		"app: unknown from":           {appYAML + "  allowedNamespaces: {from: Some}\n", "Unsupported value"},
		"app: no scopes":              {appYAML + "  scopes: []\n", "should have at least 1 items"},
		"app: scope twice":            {appYAML + "  scopes: [a.b, a.b]\n", "Duplicate value"},
		"app: scopes in one":          {appYAML + "  scopes: ['a.b,c.d']\n", "spec.scopes[0]"},
		"app: event type":             {appYAML + "  webhook: {eventTypes: [MESSAGES]}\n", "Unsupported value"},
		"app: registration":           {appYAML + "  webhook: {registration: Auto}\n", "Unsupported value"},
		"app: api":                    {appYAML + "  endpoints: {api: 'ftp://x/'}\n", "api must be an absolute http or https URL"},
		"app: authorize":              {appYAML + "  endpoints: {authorize: 'x'}\n", "authorize must be an absolute http or https URL"},
		"app: rate":                   {appYAML + "  rateLimit: {requestsPerSecond: 0}\n", "greater than or equal to 1"},
		"channel: no app":             {strings.Replace(channelYAML, "{name: a}", "{}", 1), "spec.appRef.name"},
		"channel: long name":          {strings.Replace(channelYAML, "name: admission", "name: "+strings.Repeat("a", 64), 1), "no longer than 63 characters"},
		"channel: business id":        {ch("  businessID: 'a b'\n"), "visible ASCII"},
		"channel: secret name":        {ch("  tokenSecretRef: {name: A}\n"), "name must be a valid Secret name"},
		"channel: refreshBefore":      {ch("  refreshBefore: 1m\n"), "between 5m and 8760h"},
		"channel: refreshBefore word": {ch("  refreshBefore: soon\n"), "between 5m and 8760h"},
		"channel: policy":             {ch("  deletionPolicy: Keep\n"), "Unsupported value"},
		"sink: neither":               {ch("  sinks: [{name: a}]\n"), "set exactly one of ref and uri"},
		"sink: both":                  {ch("  sinks: [{name: a, uri: 'https://x.y', ref: {name: b}}]\n"), "set exactly one of ref and uri"},
		"sink: twice":                 {ch("  sinks: [{name: a, uri: 'https://x.y'}, {name: a, uri: 'https://x.y'}]\n"), "Duplicate value"},
		"sink: name":                  {ch("  sinks: [{name: A_b, uri: 'https://x.y'}]\n"), "a sink's name must be"},
		"sink: http":                  {ch("  sinks: [{name: a, uri: 'http://x.y'}]\n"), "uri must be an absolute https URL"},
		"sink: user":                  {ch("  sinks: [{name: a, uri: 'https://me:pw@x.y'}]\n"), "no fragment or user"},
		"sink: kind":                  {ch("  sinks: [{name: a, ref: {kind: Pod, name: b}}]\n"), "Unsupported value"},
		"sink: path":                  {ch("  sinks: [{name: a, ref: {name: b, path: events}}]\n"), "path must begin with '/'"},
		"sink: port":                  {ch("  sinks: [{name: a, ref: {name: b, port: 70000}}]\n"), "less than or equal to 65535"},
		"sink: type":                  {ch("  sinks: [{name: a, uri: 'https://x.y', types: [message]}]\n"), "types[0]"},
		"sink: timeout":               {ch("  sinks: [{name: a, uri: 'https://x.y', delivery: {timeout: 10m}}]\n"), "between 100ms and 5m"},
		"sink: max age":               {ch("  sinks: [{name: a, uri: 'https://x.y', delivery: {maxAge: 1s}}]\n"), "between 1m and 720h"},
		"sink: backoff":               {ch("  sinks: [{name: a, uri: 'https://x.y', delivery: {backoff: {min: 10m, max: 1m}}}]\n"), "backoff.min must not be longer"},
		"sink: attempts":              {ch("  sinks: [{name: a, uri: 'https://x.y', delivery: {maxAttempts: 0}}]\n"), "greater than or equal to 1"},
	} {
		t.Run(name, func(t *testing.T) {
			err := k8s.Create(t.Context(), object(t, tc.text), client.DryRunAll)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestAdmissionAccepts(t *testing.T) {
	for name, text := range map[string]string{
		"app":                  appYAML,
		"app on loopback":      strings.Replace(appYAML, "https://tiktok.example.com", "http://127.0.0.1:8080", 1),
		"app with a path":      strings.Replace(appYAML, "example.com", "example.com/tiktok", 1),
		"channel":              channelYAML,
		"channel, business id": channelYAML + "  businessID: '-_abc'\n",
		"channel, all of it": channelYAML + `  refreshBefore: 8h
  suspend: true
  sinks:
  - {name: a, ref: {name: svc}, types: [io.tiktok-operator.message.received]}
  - {name: b, uri: 'http://localhost:8080/x', delivery: {timeout: 5s, maxAttempts: 3, maxAge: 1h, backoff: {min: 1s, max: 1m}}}
`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := k8s.Create(t.Context(), object(t, text), client.DryRunAll); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAdmissionImmutable(t *testing.T) {
	ch := newChannel(t, unmanaged, "immutable", "a", func(ch *v1alpha1.TiktokChannel) { ch.Spec.BusinessID = "one" })
	for want, change := range map[string]func(*v1alpha1.TiktokChannel){
		"businessID is immutable":      func(ch *v1alpha1.TiktokChannel) { ch.Spec.BusinessID = "two" },
		"businessID is immutable once": func(ch *v1alpha1.TiktokChannel) { ch.Spec.BusinessID = "" },
		"appRef is immutable":          func(ch *v1alpha1.TiktokChannel) { ch.Spec.AppRef.Name = "b" },
	} {
		changed := reload(t, ch).DeepCopy()
		change(changed)
		if err := k8s.Update(t.Context(), changed); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
