#!/bin/sh
# Generates the CRDs and the roles of the two deployments from the markers in the code, and gives them to the Helm chart.
set -eu

cd -- "$(dirname -- "$0")/.."
controller_gen=$(hack/tools/ensure.sh controller-gen)
module=$(go list -m)

"$controller_gen" crd paths=./api/... output:crd:artifacts:config=config/crd/bases

# role BINARY: what the markers of every package of this module that the binary links ask for, so that permissions follow the code: a
# package that a binary begins to use brings its own, and takes them along when it goes.
role() {
	binary=$1
	packages=$(go list -deps "./cmd/$binary")
	set --
	for package in $packages; do
		case $package in "$module"/*) set -- "$@" "paths=$package" ;; esac
	done
	"$controller_gen" "rbac:roleName=$binary-role,fileName=${binary}_role.yaml" "$@" output:rbac:artifacts:config=config/rbac
}

role manager
role webhook

go run ./hack/chart
