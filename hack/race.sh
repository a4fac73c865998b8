#!/bin/sh
# Prints -race where this machine can build with the race detector, else nothing, and says so on standard error. Without it the caller
# turns cgo off, because a C compiler that does not work breaks other builds too.
set -eu

# On macOS the race detector needs no C compiler.
[ "$(go env GOOS)" != darwin ] || { echo -race; exit; }

without() {
	echo "Testing without the race detector: $1." >&2
	exit
}

case $(go env GOOS)/$(go env GOARCH) in
linux/amd64 | linux/arm64 | linux/ppc64le | linux/s390x | linux/riscv64 | linux/loong64 | freebsd/amd64 | netbsd/amd64 | windows/amd64) ;;
*) without "it does not exist for this platform" ;;
esac
# go sets CGO_ENABLED to 0 by itself where CC is not on the PATH.
[ "$(go env CGO_ENABLED)" = 1 ] || without "cgo is off or there is no C compiler"

# A compiler without the C library's headers is common in containers.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf '#include <stdlib.h>\n#include <pthread.h>\nint main(void) { return 0; }\n' >"$scratch/probe.c"
# Not quoted: CC may hold flags.
$(go env CC) -o "$scratch/probe" "$scratch/probe.c" -lpthread >/dev/null 2>&1 || without "the C compiler, $(go env CC), does not work"
echo -race
