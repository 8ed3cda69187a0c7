# shellcheck shell=bash
# Finds Node.js and Chromium, or gets Debian's; and the packages of web/package-lock.json, in web/node_modules.

NODE_AT_LEAST=18

node_serves() { have node && have npm && node -e "process.exit(parseInt(process.versions.node) < $NODE_AT_LEAST ? 1 : 0)"; }

need_node() {
  node_serves && return
  apt_install nodejs npm || true
  hash -r
  node_serves ||
    die "Node.js $NODE_AT_LEAST or later with npm is missing: install it (Debian, Ubuntu: apt-get install nodejs npm)"
}

# The packages are there at once when the lock has not changed since they came. None of them needs to run a script at
# its installation: programs come as packages of their own.
node_tools() {
  local modules=$ROOT/web/node_modules lock=$ROOT/web/package-lock.json
  need_node
  cmp -s "$lock" "$modules/.installed" && return
  say "getting the packages of web/package-lock.json"
  (cd "$ROOT/web" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) ||
    die "could not install the packages of web/package-lock.json: see above"
  cp "$lock" "$modules/.installed"
}

# Prints the path of a browser: $CHROMIUM, or one on PATH. Fails when there is none.
find_chromium() {
  if [ -n "${CHROMIUM:-}" ]; then
    command -v "$CHROMIUM" || die "CHROMIUM=$CHROMIUM is not a program"
    return
  fi
  command -v chromium || command -v google-chrome-stable || command -v google-chrome
}

# Sets and exports CHROMIUM. The fonts are for screenshots: Chromium itself brings none.
chromium_tools() {
  find_chromium >/dev/null || apt_install chromium fonts-liberation || true
  CHROMIUM=$(find_chromium) ||
    die "no Chromium for the browser tests: install it (Debian: apt-get install chromium), or name one with CHROMIUM"
  export CHROMIUM
}
