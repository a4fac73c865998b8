#!/bin/sh
# Everything that CI checks besides the tests. Stops at the first failure, with what to do about it.
#
# Generated files are regenerated in place and compared with what was there before, so that the check also works on a tree with changes
# that are not committed yet, and leaves the right files behind.
set -eu

cd -- "$(dirname -- "$0")/.."
. hack/cache.sh

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# step NAME COMMAND...: runs it, shows its output only where it fails, and says how long it took.
step() {
	step_name=$1
	shift
	step_started=$(seconds)
	if ! "$@" >"$scratch/output" 2>&1; then
		cat "$scratch/output" >&2
		say "FAIL  $step_name"
		exit 1
	fi
	printf 'ok    %-12s %3d s\n' "$step_name" "$(($(seconds) - step_started))"
}

# The places that generators write to.
checksums() {
	find api charts config docs/reference internal/messagingapi/openapi.json -type f -exec cksum {} + 2>/dev/null | sort -k 3
}

generated() {
	checksums >"$scratch/before"
	make --no-print-directory generate manifests docs || return
	checksums >"$scratch/after"
	if ! diff "$scratch/before" "$scratch/after" >"$scratch/changes"; then
		say "These files were not what the code generates. They are now: commit them."
		sed -n 's/^[<>] [0-9]* [0-9]* /  /p' "$scratch/changes" | sort -u >&2
		return 1
	fi
}

formatted() {
	unformatted=$(gofmt -s -l $(go_folders) | grep -v '^test/openapi/client/' || true) # generated when the tests run
	[ -z "$unformatted" ] || { say "Not formatted; run make fmt:"; say "$unformatted"; return 1; }
}

# The folders with Go code, nested modules included.
go_folders() {
	for folder in api cmd controllers docs internal hack test; do
		[ ! -d "$folder" ] || echo "$folder"
	done
}

vetted() {
	go vet ./... || return
	# Nested modules: those of the tools and the control plane pin versions and have no packages.
	for gomod in $(find hack test -name go.mod 2>/dev/null); do
		folder=$(dirname "$gomod")
		if [ -n "$(cd "$folder" && GOWORK=off go list ./... 2>/dev/null)" ]; then
			# Some of their code is generated when it is needed.
			(cd "$folder" && GOWORK=off go generate ./... && GOWORK=off go vet ./...) || return
		fi
	done
}

linted() {
	golangci_lint=$(hack/tools/ensure.sh golangci-lint) || return
	"$golangci_lint" config verify || return
	"$golangci_lint" run --allow-parallel-runners
}

# The nested modules are left out: tidying them fetches the tests of all of Kubernetes. Their builds refuse a go.mod that lacks anything.
tidy() {
	go mod tidy -diff || { say "go.mod or go.sum is not tidy; run go mod tidy."; return 1; }
}

scripts() {
	for script in $(find hack test .ci -type f \( -name '*.sh' -o -path '.ci/run' \) 2>/dev/null); do
		case $(head -n 1 "$script") in
		*bash*) command -v bash >/dev/null 2>&1 && { bash -n "$script" || return; } ;;
		*) sh -n "$script" || return ;;
		esac
	done
}

manifests_build() {
	kustomize=$(hack/tools/ensure.sh kustomize) || return
	# Components are built where they are used.
	for kustomization in $(find config test/chart/testdata/overlays -name kustomization.yaml -not -path 'config/components/*' | sort); do
		if ! "$kustomize" build "$(dirname "$kustomization")" >"$scratch/manifests"; then
			say "kustomize build $(dirname "$kustomization") failed."
			return 1
		fi
	done
}

# What packs the images, and whether the Dockerfile says the same.
images_packed() {
	(cd hack/image && GOWORK=off go test -count=1 ./...) # the cache does not see changes of the Dockerfile and the Makefile
}

# Dead links, pages that nobody finds, and what makes the site.
site_built() {
	(cd hack/site && GOWORK=off go test -count=1 ./...) || return # the cache does not see changes of docs
	make --no-print-directory site
}

# A machine without the database's host (behind a proxy, offline) cannot do this check and is not asked to.
vulnerabilities() {
	govulncheck=$(hack/tools/ensure.sh govulncheck) || return
	"$govulncheck" ./...
}

step generated generated
step gofmt formatted
step vet vetted
step lint linted
step tidy tidy
step scripts scripts
step kustomize manifests_build
step images images_packed
step site site_built
if go run ./hack/reach https://vuln.go.dev/index/db.json >/dev/null 2>&1; then
	step vulncheck vulnerabilities
else
	printf 'skip  %-12s skipped: vulnerability database not reachable\n' vulncheck
fi
