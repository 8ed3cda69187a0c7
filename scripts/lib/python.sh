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
  python3 -m venv "$env" || die "could not make the Python environment .tools/$name"
  install_wheels "$env/bin" "$wanted" >&2 || die "could not install the packages of scripts/requirements/$name.txt: see above"
  cp "$wanted" "$env/.installed"
}

# install_wheels BIN FILE: by uv, in a tenth of pip's time; by pip what is a wheel or two, uv among them.
install_wheels() {
  local options=(--quiet --only-binary :all: --require-hashes --no-deps --requirement "$2")
  if [ "$(grep -c '==' "$2")" -le 2 ]; then
    "$1/pip" install --disable-pip-version-check "${options[@]}"
  else
    python_env pin
    "$TOOLS/pin/bin/uv" pip install --no-config --no-cache --python "$1/python" "${options[@]}"
  fi
}
