#!/bin/sh
# Prints the path of a Chromium that runs without a screen, and fetches one first where there is none. Progress goes to standard error.
# Exits 3, with the reason, where no browser can be had.
#
# In this order:
#   1. $CHROMIUM, where it is set: nothing else is looked at;
#   2. a Chromium or Chrome that is installed;
#   3. the copy kept from an earlier run, outside the checkout;
#   4. on Debian and its like: the package chromium-headless-shell and what it needs, unpacked there and not installed.
#
# Environment:
#   NO_DOWNLOAD=1    skips the download
#   XDG_CACHE_HOME   where the copy is kept; default ~/.cache
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/../cache.sh"

package=chromium-headless-shell

# runs tells whether a browser starts: it may lack libraries, or be a stub that asks to install something else.
runs() {
	"$1" --version >/dev/null 2>&1
}

none() {
	say "No browser: $1. Install $package, Chromium or Chrome, or set CHROMIUM to the path of one."
	exit 3
}

# apt_get works without being root: it has folders of its own for what it writes.
apt_get() {
	apt-get -q -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)" -o Dir::Cache="$cache_temp/apt" \
		-o Dir::State::lists="$lists" "$@"
}

# missing prints the packages that would be installed, as name=version.
missing() {
	apt_get --simulate --no-install-recommends install "$package" 2>/dev/null |
		sed -n 's/^Inst \([^ ]*\) .*(\([^ ]*\) .*/\1=\2/p'
}

fetch() {
	mkdir -p "$cache_temp/apt/archives/partial" "$cache_temp/root"
	lists=/var/lib/apt/lists
	packages=$(missing)
	if [ -z "$packages" ]; then
		say "Reading the lists of packages."
		lists=$cache_temp/apt/lists
		mkdir -p "$lists/partial"
		apt_get update >&2 || return
		packages=$(missing)
	fi
	[ -n "$packages" ] || { say "apt-get offers no $package that fits this system."; return 1; }
	(cd "$cache_temp/apt/archives" && apt_get download $packages >&2) || return
	for file in "$cache_temp"/apt/archives/*.deb; do
		dpkg-deb -x "$file" "$cache_temp/root" || return
	done
	rm -rf "$cache_temp/apt"
	# Libraries are looked for where they were unpacked, and then where they are installed.
	cat >"$cache_temp/chromium" <<'EOF'
#!/bin/sh
root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/root
libraries=$(find "$root" -name '*.so*' -exec dirname {} + | sort -u | tr '\n' ':')
export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:-}"
# A machine without a font configuration gets that of the packages.
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_PATH="$root/etc/fonts" XDG_DATA_HOME="$root/usr/share"
exec "$root/usr/lib/chromium/chromium-headless-shell" "$@"
EOF
	chmod 755 "$cache_temp/chromium"
	runs "$cache_temp/chromium" || { say "What was unpacked does not run:"; "$cache_temp/chromium" --version >&2; return 1; }
}

if [ -n "${CHROMIUM:-}" ]; then
	if ! runs "$CHROMIUM"; then
		say "CHROMIUM is $CHROMIUM, which does not run. Correct it, or unset it to have another one looked for."
		exit 1
	fi
	printf '%s\n' "$CHROMIUM"
	exit
fi

for name in chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable \
	'/Applications/Google Chrome.app/Contents/MacOS/Google Chrome' /Applications/Chromium.app/Contents/MacOS/Chromium; do
	found=$(command -v "$name") || continue
	if runs "$found"; then
		printf '%s\n' "$found"
		exit
	fi
done

dir=$(cache_root)/browser/$package
if ! runs "$dir/chromium"; then
	[ "${NO_DOWNLOAD:-}" != 1 ] || none "none is installed, and NO_DOWNLOAD is set"
	for name in apt-get dpkg-deb; do
		command -v "$name" >/dev/null 2>&1 || none "none is installed, and without $name none is fetched"
	done
	trap cache_cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	lock "$dir" "the browser"
	if ! runs "$dir/chromium"; then
		rm -rf "$dir"
		temp_beside "$dir"
		started=$(seconds)
		say "Downloading $package and what it needs (about 90 MB, once)."
		fetch || none "none is installed, and the download failed"
		publish "$dir"
		say "Downloaded and unpacked in $(($(seconds) - started)) s."
	fi
	cache_cleanup
fi
printf '%s\n' "$dir/chromium"
