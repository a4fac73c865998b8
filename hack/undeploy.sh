#!/bin/sh
# Removes the operator from the current cluster: every TiktokChannel, then every TiktokApp, and then the rest with the CRDs. In this order, because
# only the manager lets channels and apps go: without it they would stay for ever, and CRDs that are deleted before them would hang with them.
#
#   KUBECTL=kubectl   may have flags, such as --context
#   TIMEOUT=5m        how long to wait for the channels, and for the apps
set -eu

cd -- "$(dirname -- "$0")/.."
kubectl=${KUBECTL:-kubectl}
timeout=${TIMEOUT:-5m}

for kind in tiktokchannels tiktokapps; do
	crd=$kind.channels.tiktok-operator.io
	found=$($kubectl get crd "$crd" --ignore-not-found --output name)
	[ -n "$found" ] || continue
	$kubectl delete "$crd" --all --all-namespaces --timeout="$timeout" && continue
	cat >&2 <<-EOF

		Not all $kind are gone after $timeout, so the manager and the CRDs stay: only the manager lets them go. What there is, and what it says:

		  $kubectl get $kind --all-namespaces
		  $kubectl logs --namespace tiktok-operator-system deployment/tiktok-operator-manager

		If it does not run, see to it that it does (make deploy), and then run make undeploy again.
	EOF
	exit 1
done
$kubectl delete --ignore-not-found -k config/default
