#!/bin/sh
# Prints the path of a development tool, and builds it first where there is none. Progress goes to standard error.
#
#   hack/tools/ensure.sh controller-gen
#
# The tools and their versions are the tool lines of go.mod beside this file. Those in a folder have modules of their own, since their dependencies
# are pinned by their authors and would be raised by the others'. A binary is kept outside the checkout, keyed by what
# it was built from and by the Go version, because analysers must be built with a Go at least as new as the code that they read.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/../cache.sh"

name=${1:?usage: ensure.sh TOOL}
module=$here
[ "$name" != prometheus ] || module=$here/promtool # one repository
[ ! -f "$here/$name/go.mod" ] || module=$here/$name

# The tool line whose path ends in the name, with or without a major version after it.
package=$(sed -n "s|^[[:space:]]*\(tool \)\{0,1\}\([^ ]*/$name\(/v[0-9]*\)\{0,1\}\)\$|\2|p" "$module/go.mod" | head -n 1)
if [ -z "$package" ]; then
	say "$module/go.mod has no tool line for $name."
	exit 1
fi

# Without it they are built with the clients of two dozen clouds.
tags=
case $name in promtool | prometheus) tags=remove_all_sd ;; esac

key=$(cat "$module/go.mod" "$module/go.sum" | cksum | cut -d ' ' -f 1)
# A cross-compiling caller's GOOS and GOARCH are not meant for tools that run here.
set -- $(go env GOVERSION GOHOSTOS GOHOSTARCH)
dir=$(cache_root)/tools/$name-$key-$1-$2-$3

if [ ! -x "$dir/$name" ]; then
	trap cache_cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	lock "$dir" "$name"
	if [ ! -x "$dir/$name" ]; then
		rm -rf "$dir"
		temp_beside "$dir"
		started=$(seconds)
		say "Building $name (once; golangci-lint, promtool and prometheus take minutes, the others seconds)."
		(cd "$module" && CGO_ENABLED=0 GOOS="$2" GOARCH="$3" GOWORK=off \
			go build -mod=readonly -tags "$tags" -trimpath -buildvcs=false -ldflags '-s -w' -o "$cache_temp/$name" "$package") >&2
		publish "$dir"
		say "Built $name in $(($(seconds) - started)) s."
	fi
	cache_cleanup
fi
printf '%s\n' "$dir/$name"
