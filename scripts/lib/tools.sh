# shellcheck shell=bash
# The tools that the other scripts use, each at its pinned version, in .tools.

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/lib/python.sh
. "$ROOT/scripts/lib/python.sh"
# shellcheck source=scripts/lib/redis.sh
. "$ROOT/scripts/lib/redis.sh"
# shellcheck source=scripts/lib/node.sh
. "$ROOT/scripts/lib/node.sh"
# shellcheck source=scripts/lib/emulator.sh
. "$ROOT/scripts/lib/emulator.sh"

need_rust() { have cargo || die "cargo is missing: install Rust (https://rustup.rs)"; }

# Builds the four functions, and nothing else of the workspace. Apart, as `sam build` does: built together, `record-visit`
# would get Secrets Manager, and all of them the features of the HTTP client that the AWS SDK needs, 0.7 MB.
build_functions() {
  build_apart cargo build --bins "$@"
}

build_apart() {
  (cd "$ROOT" && "$@" --package record-visit && "$@" --package get-visits --package dashboard &&
    "$@" --package flush-visits)
}

get_cargo_lambda() {
  python_env run
  ln -sf ../run/bin/cargo-lambda "$TOOLS/bin/cargo-lambda"
}

# Sets and exports what `make run` needs: CARGO_LAMBDA, and REDIS_SERVER, empty where Docker Compose serves instead.
run_tools() {
  need_rust
  locked get_cargo_lambda
  find_redis >/dev/null || docker_compose_runs || locked install_redis
  CARGO_LAMBDA=$TOOLS/bin/cargo-lambda
  REDIS_SERVER=$(find_redis) || REDIS_SERVER=
  export CARGO_LAMBDA REDIS_SERVER
}

# The same for `make test`, whose tests start servers of their own on free ports: never with Docker.
test_tools() {
  locked install_redis
  locked get_other_servers
  run_tools
  locked python_env check
  locked get_bench_env
  locked node_tools
  locked chromium_tools
  locked python_env api
  locked python_env deployed
  export SCHEMATHESIS=$TOOLS/api/bin/schemathesis
}

check_tools() {
  need_rust
  locked python_env check
  locked python_env checkov
  locked node_tools
}

get_bench_env() {
  need_venv_module
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "$(python3 --version) is too old for the Python counter of the benchmark: it needs 3.11 or later"
  python_env bench
}

# What `make bench` needs.
bench_tools() {
  need_rust
  locked install_redis
  locked get_bench_env
}

# What building for Lambda's processors needs: cargo-lambda, zig as the linker, and Rust's libraries. Without a name: for arm64.
package_tools() {
  need_rust
  [ $# -gt 0 ] || set -- arm64
  local architecture target
  for architecture in "$@"; do
    target=$(rust_target "$architecture") || exit
    need_target "$target"
  done
  locked get_cargo_lambda
  locked get_zig
}

rust_target() {
  case $1 in
    arm64) echo aarch64-unknown-linux-gnu ;;
    x86_64) echo x86_64-unknown-linux-gnu ;;
    *) die "unknown processor: $1 (arm64 or x86_64)" ;;
  esac
}

need_target() {
  [ -d "$(rustc --print sysroot)/lib/rustlib/$1" ] || rustup target add "$1" >&2 ||
    die "Rust's library for $1 is missing: rustup target add $1"
}

get_zig() {
  python_env package
  printf '#!/bin/sh\nexec "%s" -m ziglang "$@"\n' "$TOOLS/package/bin/python" >"$TOOLS/bin/zig"
  chmod +x "$TOOLS/bin/zig"
}

# Builds the zips of the two functions that a site's visitors wait for, as Lambda takes them, for arm64, into target/lambda.
build_request_zips() {
  local name
  for name in record-visit get-visits; do
    (cd "$ROOT" && PATH=$TOOLS/bin:$PATH cargo lambda build --release --arm64 --output-format zip --package "$name")
  done
}
