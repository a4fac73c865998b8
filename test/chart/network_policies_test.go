package chart

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestThePodOfHelmTestIsLetIn: what helm test asks it may ask, also where NetworkPolicies are narrowed to others' namespaces, and on nodes that
// only the operator's pods may run on.
func TestThePodOfHelmTestIsLetIn(t *testing.T) {
	elsewhere := "[0].namespaceSelector.matchLabels.team=other"
	narrow := "networkPolicy.public.from" + elsewhere + ",networkPolicy.private.from" + elsewhere + ",networkPolicy.metrics.from" + elsewhere
	for name, set := range map[string]string{"default": "tests.enabled=true", "narrow": narrow} {
		t.Run(name, func(t *testing.T) {
			var pod corev1.Pod
			policies := map[string]networkingv1.NetworkPolicy{}
			for _, object := range render(t, "--set", set, "--set", "webhook.nodeSelector.pool=messaging,webhook.tolerations[0].operator=Exists") {
				switch object.GetKind() {
				case "Pod":
					as(t, object, &pod)
				case "NetworkPolicy":
					var policy networkingv1.NetworkPolicy
					as(t, object, &policy)
					policies[policy.Name] = policy
				}
			}
			for _, port := range []string{"webhook-public", "webhook-private", "metrics"} {
				policy, there := policies["tiktok-operator-"+port]
				if !there || len(policy.Spec.Ingress) != 1 {
					t.Fatalf("there is no policy of one rule for %s", port)
				}
				if peers := policy.Spec.Ingress[0].From; len(peers) > 0 && !admits(t, peers, pod.Labels) {
					t.Errorf("%s is closed to the test's pod: %+v", port, peers)
				}
			}
			if pod.Spec.NodeSelector["pool"] != "messaging" || len(pod.Spec.Tolerations) != 1 {
				t.Errorf("the test's pod runs on other nodes than the webhook: %+v, %+v", pod.Spec.NodeSelector, pod.Spec.Tolerations)
			}
		})
	}
	for _, object := range render(t, "--set", narrow+",tests.enabled=false") {
		var policy networkingv1.NetworkPolicy
		if object.GetKind() != "NetworkPolicy" {
			continue
		}
		as(t, object, &policy)
		if from := policy.Spec.Ingress[0].From; len(from) != 1 {
			t.Errorf("without tests %s lets others in: %+v", policy.Name, from)
		}
	}
}

// admits says whether peers have a pod of the policy's own namespace with the given labels, and nothing more said of it.
func admits(t *testing.T, peers []networkingv1.NetworkPolicyPeer, of map[string]string) bool {
	t.Helper()
	for _, peer := range peers {
		if peer.NamespaceSelector != nil && peer.PodSelector == nil && len(peer.NamespaceSelector.MatchLabels) == 0 {
			return true // every namespace
		}
		if peer.NamespaceSelector != nil || peer.PodSelector == nil {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(peer.PodSelector)
		if err != nil {
			t.Fatal(err)
		}
		if selector.Matches(labels.Set(of)) {
			return true
		}
	}
	return false
}

// TestTheOperatorReachesTheSimulator: it is TikTok to manager and webhook, also where only others' namespaces are let in; in their own namespace
// nobody else comes with them.
func TestTheOperatorReachesTheSimulator(t *testing.T) {
	found := 0
	pods := map[string]map[string]string{}
	var policy networkingv1.NetworkPolicy
	set := "simulator.enabled=true,tests.enabled=false,networkPolicy.private.from[0].namespaceSelector.matchLabels.team=other"
	for _, object := range render(t, "--set", set) {
		switch {
		case object.GetKind() == "Deployment":
			var deployment appsv1.Deployment
			as(t, object, &deployment)
			pods[deployment.Name] = deployment.Spec.Template.Labels
		case object.GetKind() == "NetworkPolicy" && object.GetName() == "tiktok-operator-simulator":
			as(t, object, &policy)
			found++
		}
	}
	if found != 1 || len(pods) != 2 {
		t.Fatalf("there are %d policies of the simulator, and %d Deployments", found, len(pods))
	}
	peers := policy.Spec.Ingress[0].From
	for name, of := range pods {
		if !admits(t, peers, of) {
			t.Errorf("the simulator is closed to %s: %+v", name, peers)
		}
	}
	if admits(t, peers, map[string]string{"app.kubernetes.io/name": "shop", "app.kubernetes.io/instance": "shop"}) {
		t.Errorf("the simulator is open to other pods of the namespace: %+v", peers)
	}
}
