#!/usr/bin/env bash
# Installs the chart on a real cluster and takes the tour there (test/e2e). Further arguments go to go test.
#
#   KUBECONFIG=…     the cluster. It must be able to run images that nobody can pull: LOAD makes them known to it
#   LOAD='…'         a command that is given the image archives, such as: kind load image-archive --name e2e
#   VOLUME_PATH=…    a folder of the node that user 65532 can write, for clusters without a StorageClass
#
# Without KUBECONFIG it takes the first cluster of these that it can have:
#   - the one that make cluster-up has started;
#   - one that it makes with kind, where Docker and kind are, and removes afterwards;
#   - one that it makes with hack/cluster, where it is root on Linux, and removes afterwards.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

version=e2e-$(date +%s)
registry=registry.local/tiktok-operator
scratch=$(mktemp -d)
made=
trap 'clean' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

clean() {
	case $made in
	kind) kind delete cluster --name tiktok-operator-e2e || true ;;
	own) hack/cluster/cluster.sh down || true ;;
	esac
	rm -rf "$scratch"
}

if [[ -n ${KUBECONFIG:-} ]]; then
	read -ra LOAD <<<"${LOAD:-}"
elif hack/cluster/cluster.sh status >/dev/null 2>&1; then
	KUBECONFIG=$(hack/cluster/cluster.sh kubeconfig)
	LOAD=(hack/cluster/cluster.sh load)
elif command -v kind >/dev/null && docker info >/dev/null 2>&1; then
	made=kind
	kind create cluster --name tiktok-operator-e2e --kubeconfig "$scratch/kubeconfig" --wait 2m
	KUBECONFIG=$scratch/kubeconfig
	LOAD=(kind load image-archive --name tiktok-operator-e2e)
elif [[ $(uname -s) == Linux && $(id -u) == 0 ]]; then
	made=own
	KUBECONFIG=$(hack/cluster/cluster.sh up)
	LOAD=(hack/cluster/cluster.sh load)
else
	echo "make test-e2e needs a cluster: set KUBECONFIG; or have kind and Docker; or be root on Linux, and it makes one of its own." >&2
	exit 3
fi
export KUBECONFIG

helm=$(hack/tools/ensure.sh helm)
kubectl=${KUBECTL:-$(command -v kubectl || echo "$(hack/controlplane/ensure.sh)/kubectl")}
for name in manager webhook tiktok-simulator; do
	CGO_ENABLED=0 GOOS=linux go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$version" -o "$scratch/bin/$name" "./cmd/$name"
done
for name in sink nats ingress; do
	CGO_ENABLED=0 GOOS=linux go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$scratch/bin/e2e-$name" "./test/e2e/$name"
done
(cd hack/image && go run . -version "$version" -registry "$registry" -out "$scratch/images" "$scratch"/bin/*)
# As the README has it.
make --no-print-directory images VERSION="$(sed -n 's/^appVersion: //p' charts/tiktok-operator/Chart.yaml)"
if [[ ${#LOAD[@]} -gt 0 ]]; then
	for archive in "$scratch"/images/linux-*/*.tar bin/images/linux-"$(go env GOARCH)"/*.tar; do
		"${LOAD[@]}" "$archive"
	done
fi

E2E_REGISTRY=$registry E2E_VERSION=$version E2E_VOLUME_PATH=${VOLUME_PATH:-} HELM=$helm KUBECTL=$kubectl \
	go test -count=1 -timeout 25m "$@" ./test/e2e
