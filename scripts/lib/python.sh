# shellcheck shell=bash
# Python environments in .tools, one for each file in scripts/requirements, with exactly the pinned packages: pip takes only files whose
# SHA-256 stands there (`scripts/pin` writes them).

# Makes sure that `python3 -m venv` works: Debian and Ubuntu keep it in a package of its own.
need_venv_module() {
  have python3 || apt_install python3 python3-venv || die "python3 is missing: install it (Debian, Ubuntu: apt-get install python3 python3-venv)"
  python3 -c 'import ensurepip, venv' 2>/dev/null && return
  apt_install python3-venv || die "python3 cannot make environments: install its venv module (Debian, Ubuntu: apt-get install python3-venv)"
}

# python_env NAME: the environment .tools/NAME as scripts/requirements/NAME.txt says: all that a pinned package needs is there, too.
# It is there at once when that file has not changed since it was made.
python_env() {
  local name=$1 env=$TOOLS/$1 wanted=$ROOT/scripts/requirements/$1.txt
  cmp -s "$wanted" "$env/.installed" && "$env/bin/python" -c '' 2>/dev/null && return
  need_venv_module
  say "getting the tools of scripts/requirements/$name.txt"
  rm -rf "$env"
  install_env "$env" "$wanted" >&2 || die "could not make the Python environment .tools/$name: see above"
  cp "$wanted" "$env/.installed"
}

# install_env ENV FILE: by pip what is a wheel or two, uv among them; the rest by uv, in a tenth of the time.
install_env() {
  local options=(--quiet --only-binary :all: --require-hashes --no-deps --requirement "$2")
  if [ "$(grep -c '==' "$2")" -le 2 ]; then
    python3 -m venv "$1" && "$1/bin/pip" install --disable-pip-version-check "${options[@]}"
  else
    python_env pin
    "$TOOLS/pin/bin/uv" venv --quiet --no-config --python "$(command -v python3)" "$1" &&
      "$TOOLS/pin/bin/uv" pip install --no-config --no-cache --python "$1/bin/python" "${options[@]}"
  fi
}
