# shellcheck shell=bash
# What every script here shares: where the project is, how to speak, and how to become root without asking.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck disable=SC2034 # read by the scripts that source this file
TOOLS=$ROOT/.tools

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command as root: as we are, or with sudo where it needs no password. Fails where neither is possible.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif have sudo && sudo -n true 2>/dev/null; then
    sudo -n "$@"
  else
    return 1
  fi
}

# Installs Debian packages, quietly; the package lists are fetched only when they are missing or too old to serve.
apt_install() {
  have apt-get && as_root true || return 1
  say "installing $* (apt-get)"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
  as_root "${apt[@]}" install -y --no-install-recommends "$@" >/dev/null 2>&1 && return
  as_root "${apt[@]}" update >&2 && as_root "${apt[@]}" install -y --no-install-recommends "$@" >&2
}

# Runs a function with the lock on .tools held, so that two scripts never install the same thing at once.
locked() {
  mkdir -p "$TOOLS/bin"
  if have flock; then
    # Only what is checked here holds the lock: a child must not inherit it.
    exec 9>"$TOOLS/.lock"
    flock 9
    "$@" 9>&-
    exec 9>&-
  else
    "$@"
  fi
}
