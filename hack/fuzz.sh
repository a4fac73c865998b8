#!/bin/sh
# Runs every fuzz target of the given packages for the given time each: Go runs one target of one package at a time only.
#
#   hack/fuzz.sh 10s ./...
set -eu

fuzztime=${1:?usage: fuzz.sh TIME PACKAGE...}
shift

found=0
for dir in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' "$@"); do
	for target in $(cd "$dir" && sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' ./*_test.go); do
		found=$((found + 1))
		echo "--- $target in ${dir#"$PWD/"}"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" "$dir"
	done
done
echo "Fuzzed $found targets for $fuzztime each."
