#!/bin/sh
# Checks the alerts, and what the dashboard and the runbooks ask, with promtool, runs the tests of the alerts, and decodes the dashboard by
# Grafana's schema.
set -eu

cd -- "$(dirname -- "$0")/.."

promtool=$(hack/tools/ensure.sh promtool)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

cp config/monitoring/tests/*_test.yaml "$scratch"
go run ./hack/alerts >"$scratch/rules.yaml"
go run ./hack/alerts expressions >"$scratch/expressions.yaml"
(cd test/dashboard && GOWORK=off go test -count=1 ./...) # the cache does not see changes of config
cd "$scratch"
"$promtool" check rules rules.yaml expressions.yaml
"$promtool" test rules ./*_test.yaml
