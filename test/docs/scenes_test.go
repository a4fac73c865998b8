package docs

// scene is what a page takes for granted, and what must come of its commands.
type scene struct {
	// before is shell that makes what the page begins with, with the functions of prelude.
	before string
	// prints are texts that the page's commands must print.
	prints []string
	// after is shell that fails if not all is as it should be.
	after string
	// last: what it changes is remembered for half a minute, which pages that come after it would have to wait for.
	last bool
	// types is what a person types when the page's commands ask.
	types string
	// labels are what the words in capitals of a runbook stand for.
	labels map[string]string
	// ownEnvironment: the page reads the file of addresses itself.
	ownEnvironment bool
}

// prelude has functions for scenes.
const prelude = `
. bin/demo.env
admin() { curl --silent --show-error --fail-with-body "$SIMULATOR/admin/$@"; }
retry() { for _ in $(seq 300); do "$@" && return; sleep 0.2; done; return 1; }
# app: the TiktokApp my-app is Ready.
app() {
	kubectl -n tiktok-operator-system create secret generic my-app --from-literal=app_secret=demo-app-secret
	kubectl apply --filename - <<-EOF
	apiVersion: channels.tiktok-operator.io/v1alpha1
	kind: TiktokApp
	metadata: {name: my-app}
	spec:
	  appID: sim-app
	  secretRef: {namespace: tiktok-operator-system, name: my-app}
	  publicURL: $PUBLIC
	  endpoints: {api: $SIMULATOR/open_api/v1.3/, authorize: $SIMULATOR/v2/auth/authorize}
	EOF
	kubectl wait --for=condition=Ready tiktokapp/my-app --timeout=1m
}
# channel NAMESPACE NAME: there is a TiktokChannel, with a Service for its sink.
channel() {
	kubectl -n "$1" create service clusterip inbox --tcp=80
	kubectl apply --filename - <<-EOF
	apiVersion: channels.tiktok-operator.io/v1alpha1
	kind: TiktokChannel
	metadata: {namespace: $1, name: $2}
	spec:
	  appRef: {name: my-app}
	  sinks: [{name: example, uri: "$SINK"}]
	EOF
}
# link NAMESPACE NAME prints the link that authorizes a channel.
link() { kubectl -n "$1" get tiktokchannel "$2" -o jsonpath='{.status.authorizationURL}' | grep .; }
consent() { curl --silent --location --cookie "" "$1" | grep 'content="granted"'; }
# authorize NAMESPACE NAME BUSINESS: the account's owner has opened the link and consented.
authorize() {
	admin businesses --data '{"openID": "'"$3"'"}'
	admin consent --data '{"mode": "auto", "business": "'"$3"'"}'
	retry link "$1" "$2"
	retry consent "$(link "$1" "$2")" # an app secret that was changed just before takes some seconds
	kubectl -n "$1" wait --for=condition=Ready "tiktokchannel/$2" --timeout=1m
}
`

// cleanUp removes what the page before left, on TikTok's side too.
const cleanUp = `
kubectl delete tiktokchannels --all --all-namespaces --timeout=1m
kubectl delete tiktokapps --all --timeout=1m
for namespace in shop bakery default; do
	kubectl create namespace $namespace 2>/dev/null || true
	kubectl -n $namespace delete secrets,serviceaccounts,roles,rolebindings --all --timeout=1m
	kubectl -n $namespace delete services inbox --ignore-not-found
done
kubectl -n tiktok-operator-system delete secret my-app --ignore-not-found
kubectl -n tiktok-operator-system delete leases --selector channels.tiktok-operator.io/business
curl --silent --fail --request PUT "$SIMULATOR/admin/app" --data '{"secret": "demo-app-secret", "enabled": true}'
admin consent --data '{}'
`

const connected = `app; channel shop acme; authorize shop acme biz-0001; `

// mayReplay lets the ServiceAccount support look at events and replay them.
const mayReplay = `
kubectl -n shop create serviceaccount support
kubectl -n shop create role replays --verb=list,create --resource=tiktokchannels.channels.tiktok-operator.io/events
kubectl -n shop create rolebinding support --role=replays --serviceaccount=shop:support
`

// writes is a message of a TikTok user.
const writes = `
admin events --data '{"business": "biz-0001", "text": "Is it still there?", "noRetry": true}' | jq -e '.status == 200'
`

var scenes = map[string]scene{
	"docs/tutorial.md": {
		prints:         []string{"AwaitingAuthorization", `"status": "sent"`, `["inbound","Is it still available?",null]`, `["outbound","Yes, it is!",`},
		ownEnvironment: true,
	},
	"docs/how-to/authorize-a-channel.md": {
		before: `app; channel shop acme; retry link shop acme; admin businesses --data '{"openID": "biz-0001"}'; admin consent --data '{"mode": "auto", "business": "biz-0001"}'`,
		prints: []string{"/oauth/start?link="},
	},
	"docs/how-to/reply-from-your-service.md": {
		before: `app; channel default acme; authorize default acme biz-0001` + writes + `
base64 -d >parcel.png <<<iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADklEQVR4nGNogAIGyhgAgIQgAQ2AJGEAAAAASUVORK5CYII=`,
		prints: []string{`"said": "Is it still there?"`, `"status":"sent"`, "event: io.tiktok-operator.message.received", `"type":"https://tiktok-operator.io/problems/message-mixed"`},
		after:  `admin 'conversations?business=biz-0001' | jq -e '.conversations[0].sentSince == 4'`, // a text, an image, a card, a quoting text
	},
	"docs/how-to/use-the-kubectl-plugin.md": {
		before: `app; channel default acme
kubectl patch tiktokchannel acme --type merge --patch '{"spec": {"sinks": [{"name": "inbox", "uri": "'"$SIMULATOR"'/no-such-page"}]}}'
admin businesses --data '{"openID": "biz-0001"}'; admin consent --data '{"mode": "auto", "business": "biz-0001"}'
retry link default acme`,
		prints: []string{
			"/oauth/start?link=", "Ready=True", "Business:", `"pending":`, "the access token lives until", "(dry run)", "takes its tokens from the Secret acme-import",
			"WINDOW", "It is on its way!", `"type":"io.tiktok-operator.message.received"`, "rejected", " replayed\n", "events are on their way to inbox", "wrote tiktok-operator",
		},
	},
	"docs/how-to/replay-dead-letters.md": {
		before: connected + mayReplay + `
kubectl -n shop patch tiktokchannel acme --type merge --patch '{"spec": {"sinks": [{"name": "crm", "uri": "'"$SIMULATOR"'/no-such-page"}]}}'
` + writes + `
TOKEN=$(kubectl -n shop create token support --audience tiktok-operator)
letters() { curl --silent --insecure --header "Authorization: Bearer $TOKEN" "$PRIVATE/v1/namespaces/shop/channels/acme/dead-letters" | grep evt_; }
retry letters
kubectl -n shop delete serviceaccount support`,
		prints: []string{`"sink":"crm","reason":"rejected"`, `"Is it still there?"`, `{"replayed":1}`},
	},
	"docs/how-to/replay-events.md": {
		before: connected + mayReplay + `
kubectl -n shop patch tiktokchannel acme --type merge --patch '{"spec": {"sinks": [{"name": "crm", "uri": "'"$SINK"'"}]}}'
` + writes + writes + `
kubectl -n shop create rolebinding support-reads --clusterrole=tiktok-operator-channel-reader --serviceaccount=shop:support`,
		prints: []string{`"events":3`},
	},
	"docs/how-to/connect-a-real-tiktok-app.md": {
		before: connected + `kubectl -n tiktok-operator-system delete secret my-app`,
		types:  "demo-app-secret\n",
		prints: []string{"405", "/oauth/callback/"},
		after: `
kubectl get tiktokapp my-app -o json | jq -e '.spec.scopes | length == 4'
test "$(kubectl -n tiktok-operator-system get secret my-app -o jsonpath='{.data.app_secret}' | base64 -d)" = demo-app-secret`,
	},
	"docs/how-to/import-tokens.md": {
		before: `app
admin businesses --data '{"openID": "biz-0001", "username": "acme"}'
admin tokens --data '{"business": "biz-0001"}' >tokens.json
jq -r .access_token tokens.json >access_token
jq -r .refresh_token tokens.json >refresh_token`,
		prints: []string{"\nacme\n"},
		after: `
test "$(cat refresh_token)" != "$(jq -r .refresh_token tokens.json)"
kubectl -n shop get tiktokchannel acme -o json | jq -e '.status.businessID == "biz-0001" and .spec.importTokensFrom == null'`,
	},
	"docs/how-to/rotate-the-app-secret.md": {
		last:   true,
		before: connected,
		after: writes + `
test "$(kubectl -n tiktok-operator-system get secret my-app -o json | jq -r '.data | keys | join(" ")')" = app_secret`,
	},
	"docs/how-to/several-tenants.md": {
		before: connected,
		prints: []string{"\nyes\n", "\nno\n"},
		after: `
manager=system:serviceaccount:tiktok-operator-system:tiktok-operator-manager
kubectl auth can-i list secrets -n shop --as=$manager
! kubectl auth can-i list secrets --all-namespaces --as=$manager
test "$(kubectl auth can-i get secrets -n bakery --as=$manager)" = no
kubectl -n tiktok-operator-system delete deployments --all
channel bakery bread
retry bash -c 'kubectl -n bakery get tiktokchannel bread -o json | jq -e ".status.conditions[]? | select(.type == \"Stalled\") | .reason == \"AppNotAllowed\""'`,
	},
	"docs/how-to/restore-after-a-lost-refresh-token.md": {
		before: connected + `
kubectl -n shop get secret acme-tiktok-token -o json | jq 'del(.metadata.uid, .metadata.resourceVersion)' >acme-tiktok-token.yaml
kubectl -n shop delete secret acme-tiktok-token
kubectl -n shop wait --for=condition=ReauthorizationRequired tiktokchannel/acme --timeout=1m
retry link shop acme`,
		prints: []string{`"reason": "TokenSecretMissing"`},
	},
	"docs/how-to/gitops.md": {
		before: `
kubectl create namespace argocd
kubectl -n argocd create configmap argocd-cm --from-literal=url=https://argocd.example.com`,
		after: `
kubectl -n argocd get configmap argocd-cm -o json >argocd-cm.json
jq --join-output '.data["resource.customizations.health.channels.tiktok-operator.io_TiktokChannel"]' argocd-cm.json | cmp - config/gitops/argocd/tiktokchannel.lua
jq --join-output '.data["resource.customizations.health.channels.tiktok-operator.io_TiktokApp"]' argocd-cm.json | cmp - config/gitops/argocd/tiktokapp.lua
jq -e '.data.url == "https://argocd.example.com"' argocd-cm.json`,
	},
	"docs/how-to/alerts-and-dashboard.md": {
		// The kinds of the Prometheus Operator, without their schemas: make test-chart checks what we make of them by the schemas.
		before: `
for kind in ServiceMonitor PrometheusRule Prometheus; do
	plural=$(echo ${kind}s | tr A-Z a-z | sed 's/ss$/ses/')
	kubectl apply --filename - <<-EOF
	apiVersion: apiextensions.k8s.io/v1
	kind: CustomResourceDefinition
	metadata: {name: $plural.monitoring.coreos.com}
	spec:
	  group: monitoring.coreos.com
	  names: {kind: $kind, plural: $plural}
	  scope: Namespaced
	  versions:
	  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
	EOF
	kubectl wait --for=condition=Established crd/$plural.monitoring.coreos.com --timeout=1m
done
cat >prometheus.yaml <<EOF
apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {namespace: default, name: k8s}
spec:
  serviceMonitorSelector: {}
  ruleSelector: {matchLabels: {release: prometheus}}
EOF
retry kubectl apply --filename prometheus.yaml # a kind that is Established may be told of a little later`,
		prints: []string{`{"matchLabels":{"release":"prometheus"}}`},
		after: `
kubectl -n tiktok-operator-system get configmap tiktok-operator-dashboard -o json | jq --join-output '.data[]' | cmp - config/monitoring/dashboard.json
kubectl -n tiktok-operator-system get servicemonitors,prometheusrules -o json | jq -e '[.items[].kind] | unique == ["PrometheusRule", "ServiceMonitor"]'
grep 'alert: TiktokReauthorizationRequired' tiktok-operator-rules.yaml
kubectl delete --kustomize config/monitoring
kubectl delete crd prometheuses.monitoring.coreos.com prometheusrules.monitoring.coreos.com servicemonitors.monitoring.coreos.com`,
	},
	"docs/how-to/receive-events.md": {
		before: connected,
		after: `
test "$(kubectl -n shop get secret inbox-signing -o json | jq -r '.data | keys | join(" ")')" = secret
kubectl -n shop get secret inbox-signing -o jsonpath='{.data.secret}' | base64 -d | grep -Ex 'whsec_[A-Za-z0-9+/]{43}='
kubectl -n shop get tiktokchannel acme -o json | jq -e '.spec.sinks[0].signingSecretRef.name == "inbox-signing"'`,
	},
}
