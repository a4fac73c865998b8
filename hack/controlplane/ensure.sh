#!/bin/sh
# Prints the folder that holds etcd, kube-apiserver and kubectl, and makes it first where there is none. Progress goes to standard error.
#
# In this order:
#   1. $KUBEBUILDER_ASSETS, where it is set: nothing else is looked at;
#   2. the copy kept from an earlier run, outside the checkout, keyed by the versions that go.mod beside this file pins;
#   3. a download of prebuilt binaries of the same Kubernetes minor, checksums verified, where their index answers within seconds;
#   4. a build from the Go modules of Kubernetes and etcd.
#
# Environment:
#   NO_DOWNLOAD=1    skips the download
#   ENVTEST_INDEX    another index of prebuilt binaries, such as a mirror's
#   XDG_CACHE_HOME   where the copy is kept; default ~/.cache
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/../cache.sh"

binaries="etcd kube-apiserver kubectl"
index=${ENVTEST_INDEX:-https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml}

# bounded runs a command for at most the given seconds. Without coreutils' timeout (macOS) it runs unbounded.
bounded() {
	if command -v timeout >/dev/null 2>&1; then
		timeout "$@"
	else
		shift
		"$@"
	fi
}

# reachable is quick: the few packages that it compiles are those that the build below needs too.
reachable() {
	(cd "$here/../.." && CGO_ENABLED=0 GOOS='' GOARCH='' GOWORK=off go run -mod=readonly -trimpath ./hack/reach "$1") >/dev/null 2>&1
}

# fetch leaves the programs in the temporary folder, or nothing.
fetch() {
	store=$cache_temp/download
	fetched=$(bounded 180 "$setup_envtest" use "$minor.x!" --os "$os" --arch "$arch" --index "$index" --bin-dir "$store" -p path) &&
		has "$fetched" $binaries &&
		(cd "$fetched" && cp $binaries "$cache_temp/") &&
		(cd "$cache_temp" && chmod 755 $binaries)
	fetch_result=$?
	# The store is made read-only by the tool.
	[ ! -d "$store" ] || chmod -R u+w "$store"
	rm -rf "$store"
	return $fetch_result
}

download() {
	[ "${NO_DOWNLOAD:-}" != 1 ] || return 1
	if ! reachable "$index"; then
		say "Prebuilt binaries are not reachable from here."
		return 1
	fi
	started=$(seconds)
	say "Downloading prebuilt Kubernetes $minor.x binaries (about 70 MB, once)."
	setup_envtest=$("$here/../tools/ensure.sh" setup-envtest) || return 1
	fetch || { say "The download failed."; return 1; }
	printf 'prebuilt %s\n' "${fetched##*/}" >"$cache_temp/source"
	say "Downloaded in $(($(seconds) - started)) s: ${fetched##*/}."
}

# compile builds one program from its package.
#
#   compile NAME PACKAGE [LDFLAGS]
compile() {
	compile_started=$(seconds)
	(cd "$here" && CGO_ENABLED=0 GOOS="$os" GOARCH="$arch" GOWORK=off \
		go build -mod=readonly -trimpath -buildvcs=false -ldflags "-s -w ${3:-}" -o "$cache_temp/$1" "$2") >&2
	say "  $1: $(($(seconds) - compile_started)) s"
}

build() {
	started=$(seconds)
	say "Building kube-apiserver and kubectl $kubernetes and etcd $etcd from their Go modules: about five minutes on two free cores, more on busy ones," \
		"and only once: the result stays in $dir."
	# Without these a development build calls itself v0.0.0, which clients and feature gates take for an ancient server.
	stamp="-X k8s.io/component-base/version.gitVersion=v$kubernetes \
		-X k8s.io/component-base/version.gitMajor=${minor%%.*} \
		-X k8s.io/component-base/version.gitMinor=${minor#*.} \
		-X k8s.io/client-go/pkg/version.gitVersion=v$kubernetes"
	compile etcd go.etcd.io/etcd/server/v3
	compile kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver "$stamp"
	compile kubectl k8s.io/kubernetes/cmd/kubectl "$stamp"
	printf 'built from Go modules: kubernetes %s, etcd %s\n' "$kubernetes" "$etcd" >"$cache_temp/source"
	say "Built in $(($(seconds) - started)) s."
}

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
	if ! has "$KUBEBUILDER_ASSETS" etcd kube-apiserver; then
		say "KUBEBUILDER_ASSETS is $KUBEBUILDER_ASSETS, where there is no etcd or no kube-apiserver. Correct it, or unset it to have both made."
		exit 1
	fi
	printf '%s\n' "$KUBEBUILDER_ASSETS"
	exit
fi

kubernetes=$(pinned "$here/go.mod" k8s.io/kubernetes)
etcd=$(pinned "$here/go.mod" go.etcd.io/etcd/server/v3)
minor=$(printf '%s' "$kubernetes" | cut -d . -f 1-2)
os=$(go env GOHOSTOS)
arch=$(go env GOHOSTARCH)
dir=$(cache_root)/controlplane/$kubernetes-$etcd-$os-$arch

if ! has "$dir" $binaries; then
	trap cache_cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	lock "$dir" "the control plane"
	if ! has "$dir" $binaries; then
		# Something incomplete under this name was not made by this script, which publishes whole folders only.
		rm -rf "$dir"
		temp_beside "$dir"
		download || build
		publish "$dir"
	fi
	cache_cleanup
fi
printf '%s\n' "$dir"
