package docs

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// nodes has what pages ask of a cluster's nodes, of which there are none here. The programs run beside the API server instead: their logs are
// where the demo keeps them, and their private port needs no forwarding, by kubectl tiktok neither. That there is such a Deployment or such a Service, with such a
// port, is looked up in what config/default installs.
const nodes = `
kubectl() {
	case " $* " in
	*" port-forward "*) forward "$@" ;;
	*" logs "*) logs "$@" ;;
	" tiktok "*) plugin "${@:2}" ;;
	*) command kubectl "$@" ;;
	esac
}
installed() { grep --quiet --line-regexp --fixed-strings "$*" installed.txt || { echo "config/default installs no $*"; kill $$; }; }
# A page that says itself how the plugin reaches the private API is left to it.
plugin() {
	[ -n "${TIKTOK_OPERATOR_API_URL-}" ] || set -- --api-url "$PRIVATE" --api-ca-file private.pem --as-service-account support "$@"
	kubectl-tiktok "$@"
}
# -n NAMESPACE port-forward service/NAME LOCAL:REMOTE
forward() { installed "$2 $4 ${5#*:}"; }
# -n NAMESPACE logs deployment/NAME and how much of them
logs() {
	installed "$2 $4"
	cat "${KUBECONFIG%/*}/logs/${4#deployment/tiktok-operator-}.log"
}
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
`

// writeInstalled writes installed.txt: a line a Deployment, and a line a port of a Service.
func writeInstalled(t *testing.T, dir string) {
	t.Helper()
	built, err := command(t, "kubectl", "kustomize", filepath.Join(top, "config", "default")).Output()
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for document := range strings.SplitSeq(string(built), "\n---\n") {
		var object struct{ Kind string }
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		switch object.Kind {
		case "Deployment":
			var d appsv1.Deployment
			if err := yaml.Unmarshal([]byte(document), &d); err != nil {
				t.Fatal(err)
			}
			lines.WriteString(d.Namespace + " deployment/" + d.Name + "\n")
		case "Service":
			var s corev1.Service
			if err := yaml.Unmarshal([]byte(document), &s); err != nil {
				t.Fatal(err)
			}
			for _, p := range s.Spec.Ports {
				lines.WriteString(s.Namespace + " service/" + s.Name + " " + strconv.Itoa(int(p.Port)) + "\n")
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "installed.txt"), []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
