#!/bin/sh
# Prints the folder that holds what a node runs beside the control plane (kubelet, kube-proxy, the controller manager, the scheduler,
# containerd, CoreDNS) and the pause image, and builds them from their Go modules first where there are none: about ten minutes on two
# cores. Progress goes to standard error.
#
# Kubernetes' version is the one that hack/controlplane/go.mod pins; the others' are in go.mod files beside this one.
#
# Environment:
#   XDG_CACHE_HOME   where they are kept; default ~/.cache
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/../cache.sh"

programs="kubelet kube-proxy kube-controller-manager kube-scheduler containerd containerd-shim-runc-v2 ctr coredns"

complete() {
	has "$1" $programs && [ -f "$1/pause.tar" ]
}

# compile builds packages of a module into the temporary folder.
#
#   compile FOLDER 'FLAGS…' 'LDFLAGS' PACKAGE...
compile() {
	compile_started=$(seconds) compile_folder=$1 compile_flags=$2 compile_ldflags=$3
	shift 3
	(cd "$here/$compile_folder" && CGO_ENABLED=0 GOOS=linux GOARCH="$arch" GOWORK=off \
		go build -mod=readonly -trimpath -buildvcs=false $compile_flags -ldflags "-s -w $compile_ldflags" -o "$cache_temp/" "$@") >&2
	for compile_package; do
		say "  ${compile_package##*/}"
	done
	say "    $(($(seconds) - compile_started)) s"
}

build() {
	started=$(seconds)
	say "Building a node's programs from their Go modules (Kubernetes $kubernetes, containerd $containerd, CoreDNS $coredns): about ten minutes on" \
		"two free cores, and only once: the result stays in $dir."
	compile ../controlplane '' "-X k8s.io/component-base/version.gitVersion=v$kubernetes \
		-X k8s.io/component-base/version.gitMajor=${kubernetes%%.*} \
		-X k8s.io/component-base/version.gitMinor=$(printf '%s' "$kubernetes" | cut -d . -f 2) \
		-X k8s.io/client-go/pkg/version.gitVersion=v$kubernetes" \
		k8s.io/kubernetes/cmd/kubelet k8s.io/kubernetes/cmd/kube-proxy k8s.io/kubernetes/cmd/kube-controller-manager k8s.io/kubernetes/cmd/kube-scheduler
	# Snapshotters that need C libraries, and that one node on an ordinary file system does not need.
	compile containerd '-tags=no_btrfs,no_devmapper,no_zfs' "-X github.com/containerd/containerd/v2/version.Version=v$containerd" \
		github.com/containerd/containerd/v2/cmd/containerd github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2 \
		github.com/containerd/containerd/v2/cmd/ctr
	compile coredns '' '' github.com/coredns/coredns
	compile ../.. '' '' ./hack/cluster/pause
	(cd "$here/../image" && GOWORK=off go run . -version 1 -registry registry.local/cluster -out "$cache_temp/image" "$cache_temp/pause") >/dev/null
	mv "$cache_temp/image/linux-$arch/pause.tar" "$cache_temp/"
	rm -rf "$cache_temp/image"
	say "Built in $(($(seconds) - started)) s."
}

kubernetes=$(pinned "$here/../controlplane/go.mod" k8s.io/kubernetes)
containerd=$(pinned "$here/containerd/go.mod" github.com/containerd/containerd/v2)
coredns=$(pinned "$here/coredns/go.mod" github.com/coredns/coredns)
arch=$(go env GOHOSTARCH)
dir=$(cache_root)/cluster/$kubernetes-$containerd-$coredns-linux-$arch

if ! complete "$dir"; then
	trap cache_cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	lock "$dir" "a node's programs"
	if ! complete "$dir"; then
		# Something incomplete under this name was not made by this script, which publishes whole folders only.
		rm -rf "$dir"
		temp_beside "$dir"
		build
		publish "$dir"
	fi
	cache_cleanup
fi
printf '%s\n' "$dir"
