#!/usr/bin/env bash
# Installs the chart on a real cluster and takes the tour there (test/e2e). Further arguments go to go test.
#
#   KUBECONFIG=…     the cluster. It must be able to run images that nobody can pull: LOAD makes them known to it
#   LOAD='…'         a command that is given the image archives, such as: kind load image-archive --name e2e
#   VOLUME_PATH=…    a folder of the node that user 65532 can write, for clusters without a StorageClass
#
# Without KUBECONFIG it makes a cluster with kind, where Docker and kind are, and removes it.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

version=e2e-$(date +%s)
registry=registry.local/tiktok-operator
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [[ -z ${KUBECONFIG:-} ]]; then
	if ! command -v kind >/dev/null || ! docker info >/dev/null 2>&1; then
		echo "make test-e2e needs KUBECONFIG, or kind with Docker to make a cluster." >&2
		exit 3
	fi
	kind create cluster --name tiktok-operator-e2e --kubeconfig "$scratch/kubeconfig" --wait 2m
	trap 'kind delete cluster --name tiktok-operator-e2e; rm -rf "$scratch"' EXIT
	export KUBECONFIG=$scratch/kubeconfig
	LOAD=(kind load image-archive --name tiktok-operator-e2e)
else
	read -ra LOAD <<<"${LOAD:-}"
fi

helm=$(hack/tools/ensure.sh helm)
kubectl=${KUBECTL:-kubectl}
for name in manager webhook tiktok-simulator; do
	CGO_ENABLED=0 GOOS=linux go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$version" -o "$scratch/bin/$name" "./cmd/$name"
done
for name in sink nats ingress; do
	CGO_ENABLED=0 GOOS=linux go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$scratch/bin/e2e-$name" "./test/e2e/$name"
done
(cd hack/image && go run . -version "$version" -registry "$registry" -out "$scratch/images" "$scratch"/bin/*)
if [[ ${#LOAD[@]} -gt 0 ]]; then
	for archive in "$scratch"/images/*.tar; do
		"${LOAD[@]}" "$archive"
	done
fi

E2E_REGISTRY=$registry E2E_VERSION=$version E2E_VOLUME_PATH=${VOLUME_PATH:-} HELM=$helm KUBECTL=$kubectl \
	go test -count=1 -timeout 15m "$@" ./test/e2e
