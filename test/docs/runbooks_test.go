package docs

import (
	"maps"
	"testing"
)

// allScenes are those of all pages.
func allScenes() map[string]scene {
	all := maps.Clone(scenes)
	for _, r := range runbooks {
		all[r.page()] = r.scene
	}
	return all
}

// runbook is the scene of an alert's page. They follow each other without making room: what went wrong for one is so for those after it.
type runbook struct {
	alert string
	scene
}

func (r *runbook) page() string { return "docs/runbooks/" + r.alert + ".md" }

var (
	ofChannel = map[string]string{"NAMESPACE": "shop", "NAME": "acme"}
	ofSink    = map[string]string{"NAMESPACE": "shop", "CHANNEL": "acme", "SINK": "example"}
	ofApp     = map[string]string{"NAME": "my-app", "APP": "my-app"}
)

// watching has functions for scenes of runbooks. logged PROGRAM TEXT waits until a program has logged something since the scene began, failing
// writes messages until one was not delivered, which may take more than one: the webhook hears of a changed sink a little later. refresh has a
// channel's tokens refreshed at once.
const watching = `
logs="${KUBECONFIG%/*}/logs"
manager=$(wc -l <"$logs/manager.log") webhook=$(wc -l <"$logs/webhook.log")
says() { tail -n "+$((${!1} + 1))" "$logs/$1.log" | grep "$2"; }
logged() { retry says "$@"; }
undelivered() { for _ in $(seq 25); do says webhook 'was not delivered' && return; sleep 0.2; done; return 1; }
failing() { until admin events --data '{"business": "biz-0001", "text": "Is it still there?", "noRetry": true}' && undelivered; do :; done; }
refresh() { kubectl -n shop annotate tiktokchannel acme --overwrite "channels.tiktok-operator.io/refresh-requested-at=$(date +%s.%N)"; }
`

var runbooks = []runbook{
	{"TiktokManagerDown", scene{prints: []string{`"level":"info"`}}},
	{"TiktokWebhookDown", scene{prints: []string{`"level":"info"`}}},
	{"TiktokRefreshTokenExpiring", scene{labels: ofChannel, prints: []string{"T"}}},
	{"TiktokAppCredentialsRefused", scene{labels: ofApp, prints: []string{"CredentialsValid", "sim-app"}}},
	{"TiktokWebhookNotRegistered", scene{labels: ofApp, prints: []string{"WebhookRegistered", "/webhooks/my-app"}}},
	{"TiktokWebhookSignatureFailures", scene{labels: ofApp, prints: []string{"CredentialsValid"}}},
	{"TiktokMessagesNotFetched", scene{
		before: `
admin faults --data '{"endpoint": "business/message/content/list/", "code": 40001}'
admin faults --data '{"endpoint": "business/message/conversation/list/", "code": 40001}'
admin events --data '{"business": "biz-0001", "event": "im_receive_msg_eu"}'
logged webhook '"fetch"'
admin faults --request DELETE`,
		prints: []string{`"business":"biz-0001"`},
	}},
	{"TiktokSinkFailing", scene{
		before: `
kubectl -n shop patch tiktokchannel acme --type merge --patch '{"spec": {"sinks": [{"name": "example", "uri": "http://127.0.0.1:9/"}]}}'
failing`,
		labels: ofSink, prints: []string{`"sink":"example"`},
	}},
	{"TiktokSinkBacklogOld", scene{labels: ofSink, prints: []string{"127.0.0.1:9", `"sink":"example"`}}},
	{"TiktokEventsExpired", scene{
		labels: ofSink, prints: []string{"WAITING"},
		after: `kubectl tiktok -n shop status acme -o json | jq -e '.sinks[0].pending > 0'`,
	}},
	{"TiktokDeadLetters", scene{
		before: `
kubectl -n shop patch tiktokchannel acme --type merge --patch '{"spec": {"sinks": [{"name": "example", "uri": "'"$SIMULATOR"'/no-such-page"}]}}'
logged webhook 'became a dead letter'`,
		labels: ofSink, prints: []string{`"sink":"example","reason":"rejected"`},
	}},
	{"TiktokRefreshFailing", scene{
		before: `
admin faults --data '{"endpoint": "tt_user/oauth2/refresh_token/", "status": 502}'
refresh
kubectl -n shop wait --for=jsonpath='{.status.refreshFailures.count}' tiktokchannel/acme --timeout=1m`,
		labels: ofChannel, prints: []string{`"count":`, "TikTok issued no tokens"},
	}},
	{"TiktokAccessTokenExpiring", scene{labels: ofChannel, prints: []string{"RefreshFailed"}}},
	{"TiktokRefreshOverdue", scene{
		before: `
mv "${KUBECONFIG%/*}/journal" "${KUBECONFIG%/*}/journal.away"
refresh
logged manager '"level":"error".*journal'
mv "${KUBECONFIG%/*}/journal.away" "${KUBECONFIG%/*}/journal"`,
		prints: []string{"journal"},
	}},
	{"TiktokReauthorizationRequired", scene{
		before: `
admin faults --request DELETE
admin tokens/revoke --data '{"business": "biz-0001"}'
refresh
kubectl -n shop wait --for=condition=ReauthorizationRequired tiktokchannel/acme --timeout=1m
retry link shop acme`,
		labels: ofChannel, prints: []string{"/oauth/start?link="},
	}},
	{"TiktokChannelStalled", scene{labels: ofChannel, prints: []string{"Stalled"}}},
	{"TiktokWebhooksNotStored", scene{
		before: `
kubectl -n tiktok-operator-system delete secret my-app
admin events --data '{"business": "biz-0001", "signature": "wrong"}' | jq -e '.status == 503'`,
		prints: []string{`"outcome":"no_credentials"`},
	}},
}

// runbooks runs the commands of the runbooks while what they are about is so.
func (s *stage) runbooks(t *testing.T) {
	dir := s.directory(t)
	s.run(t, dir, "making room", prelude+cleanUp+connected+mayReplay+
		"kubectl -n shop create rolebinding support-looks --clusterrole=tiktok-operator-channel-viewer --serviceaccount=shop:support", "")
	for _, r := range runbooks {
		t.Run(r.alert, func(t *testing.T) {
			if r.before != "" {
				s.run(t, dir, "what goes wrong", prelude+watching+r.before, "")
			}
			r.wantsPrinted(t, s.run(t, dir, r.page(), r.script(t, r.page()), ""))
			if r.after != "" {
				s.run(t, dir, "what must be so afterwards", prelude+nodes+r.after, "")
			}
		})
	}
}
