# shellcheck shell=bash
# Runs programs for another processor than this machine's: qemu's user mode, with that processor's C library.

# This machine's processor, by Lambda's name.
machine() {
  case $(uname -m) in
    aarch64 | arm64) echo arm64 ;;
    *) uname -m ;;
  esac
}

# Prints the command that runs a program for a processor (arm64 or x86_64) which is not this machine's.
emulator() {
  case $1 in
    arm64) echo "qemu-aarch64 -L /usr/aarch64-linux-gnu" ;;
    x86_64) echo "qemu-x86_64 -L /usr/x86_64-linux-gnu" ;;
  esac
}

# Gets it from Debian's packages, if it is needed.
emulator_tools() {
  [ "$1" != "$(machine)" ] || return 0
  local library=libc6-arm64-cross program root
  if [ "$1" = x86_64 ]; then library=libc6-amd64-cross; fi
  read -r program _ root <<<"$(emulator "$1")"
  { have "$program" && [ -d "$root/lib" ]; } || apt_install qemu-user "$library" || true
  { have "$program" && [ -d "$root/lib" ]; } ||
    die "no $program with a C library in $root to try the functions for $1: install it (Debian, Ubuntu: apt-get install qemu-user $library)"
}
