# Sourced by the scripts of this folder that build something once and keep it outside the checkout.
# It owns where that is, which version of it, and how two runs at the same time build once.

# cache_root prints the folder that holds everything; removing it costs nothing but time.
cache_root() {
	printf '%s/tiktok-operator\n' "${XDG_CACHE_HOME:-${HOME:?set HOME or XDG_CACHE_HOME}/.cache}"
}

say() {
	printf '%s\n' "$*" >&2
}

# seconds prints the time in whole seconds, for saying how long something took.
seconds() {
	date +%s
}

# pinned prints the version of a module, without its v, that a go.mod file names.
#
#   pinned GO.MOD MODULE
pinned() {
	version=$(sed -n "s|^\(require\)\{0,1\}[[:space:]]*$2 v\([0-9][0-9A-Za-z.+-]*\).*|\2|p" "$1" | head -n 1)
	[ -n "$version" ] || { say "$1 pins no version of $2."; exit 1; }
	printf '%s\n' "$version"
}

# has tells whether a folder holds the named programs.
#
#   has FOLDER PROGRAM...
has() {
	has_dir=$1
	shift
	for has_name; do
		[ -x "$has_dir/$has_name" ] || return 1
	done
}

# cache_cleanup removes what an interrupted run leaves. Call it from an EXIT trap.
cache_cleanup() {
	[ -z "${cache_temp:-}" ] || rm -rf "$cache_temp"
	[ -z "${cache_lock:-}" ] || rm -rf "$cache_lock"
	cache_temp= cache_lock=
}

# lock waits until this process alone may fill PATH. The lock is a folder, because making one is atomic on every file system and system.
# A lock whose owner has died is taken over. A takeover can race with another one; the loser then builds too, into a folder of its own,
# so the lock only ever saves time and never decides whether the result is right.
#
#   lock PATH WHAT
lock() {
	lock_waited=0 lock_ownerless=0
	mkdir -p "$(dirname "$1")"
	until mkdir "$1.lock" 2>/dev/null; do
		lock_owner=$(cat "$1.lock/owner" 2>/dev/null) || lock_owner=
		lock_pid=${lock_owner%% *} lock_host=${lock_owner#* }
		if [ -z "$lock_owner" ]; then
			# Between its mkdir and its owner file, or killed there.
			lock_ownerless=$((lock_ownerless + 1))
		elif [ "$lock_host" = "$(uname -n)" ] && ! kill -0 "$lock_pid" 2>/dev/null; then
			lock_ownerless=5
		fi
		if [ "$lock_ownerless" -ge 5 ] || [ "$lock_waited" -ge 3600 ]; then
			say "The lock $1.lock was left behind by a process that is gone; taking it over."
			rm -rf "$1.lock"
			lock_ownerless=0 lock_waited=0
			continue
		fi
		[ "$lock_waited" -gt 0 ] || say "Another process is making $2; waiting for it."
		sleep 1
		lock_waited=$((lock_waited + 1))
	done
	cache_lock=$1.lock
	printf '%s %s\n' "$$" "$(uname -n)" >"$cache_lock/owner"
}

# temp_beside makes a folder on the file system of PATH, so that the rename that publishes it is atomic.
temp_beside() {
	cache_temp=$(mktemp -d "$(dirname "$1")/.partial.XXXXXX")
}

# publish renames the finished folder to PATH. Where another process was first, its result stays.
publish() {
	chmod 755 "$cache_temp"
	if [ ! -e "$1" ]; then
		mv "$cache_temp" "$1"
		# A folder made between the test and the rename is moved into, not over.
		rm -rf "${1:?}/${cache_temp##*/}"
	else
		rm -rf "$cache_temp"
	fi
	cache_temp=
}
