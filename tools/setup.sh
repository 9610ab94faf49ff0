#!/usr/bin/env bash
# Installs the system packages that are missing: tools/setup.sh [build|test|ci]
#
#   build   what ./run needs (default)
#   test    that and what ./test needs besides: a browser that opens the report
#   ci      that and the linters, fuzzers and script checks of .ci/run, and what reads our manual page and completions
#
# Needs no input. Success leaves a stamp under build/ that names the package list, so the next call costs nothing. As an
# ordinary user it calls sudo. With ESCRIBANO_NO_INSTALL=1 it installs nothing and only says what is missing.
# Everything it prints goes to standard error. Works with the bash 3.2 of macOS.
set -euo pipefail
export LC_ALL=C

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
what=${1:-build}

# a|b: any of these will do; the first one that the system's archive has is installed.
# command:package stands for a command that may have come from elsewhere than a package.
debian_build="build-essential cmake ninja-build git ca-certificates npm:npm pkg-config|pkgconf
  libjpeg62-turbo-dev|libjpeg-turbo8-dev|libjpeg-dev libpng-dev libwebp-dev libxxhash-dev libssl-dev nlohmann-json3-dev libcli11-dev
  libspdlog-dev libfmt-dev libexpected-dev libcurl4-openssl-dev libgtest-dev libgmock-dev
  libavformat-dev libavcodec-dev libswscale-dev libavutil-dev libsqlite3-dev ffmpeg:ffmpeg python3:python3"
debian_test="chromium:chromium fonts-dejavu-core"
debian_ci="clang-16 clang-tidy-16 clang-format-16 libclang-rt-16-dev llvm-16 shellcheck:shellcheck
  zsh:zsh fish:fish mandoc:mandoc"
brew_build="cmake ninja git:git npm:node pkg-config:pkgconf jpeg-turbo libpng webp xxhash openssl@3 nlohmann-json cli11 spdlog fmt
  tl-expected curl googletest ffmpeg sqlite python3:python3"
brew_ci="llvm@16 shellcheck fish mandoc"

case $what in
  build) debian=$debian_build brew=$brew_build ;;
  test) debian="$debian_build $debian_test" brew=$brew_build ;;
  ci) debian="$debian_build $debian_test $debian_ci" brew="$brew_build $brew_ci" ;;
  *) echo "usage: tools/setup.sh [build|test|ci]" >&2; exit 2 ;;
esac

say() { printf 'setup: %s\n' "$*" >&2; }

stamp=$root/build/.setup-$what
log=$root/build/setup.log
# The machine's name is part of the key: a tree may be mounted into a container that lacks what its host has.
key=$(printf '%s|%s|%s' "${HOSTNAME:-}" "$debian" "$brew" | cksum)
if [[ -f $stamp && $(<"$stamp") == "$key" ]]; then exit 0; fi

mkdir -p "$root/build"

logged() {  # command...
  "$@" < /dev/null >> "$log" 2>&1 && return 0
  tail -n 20 "$log" >&2
  say "this failed: $*"
  say "the whole log is in $log"
  exit 1
}

as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif [[ -t 2 ]]; then
    sudo "$@"  # asks for the password on the terminal itself
  else
    sudo -n "$@"  # nobody is there to type one
  fi
}

# The first of a|b|c for which `test` succeeds.
first_of() {  # test a|b|c
  local name
  for name in ${2//|/ }; do
    if "$1" "$name"; then
      printf '%s' "$name"
      return 0
    fi
  done
  return 1
}

refuse_to_install() {
  [[ ${ESCRIBANO_NO_INSTALL:-0} == 1 ]] || return 0
  say "missing: $*"
  say "ESCRIBANO_NO_INSTALL is set, so nothing was installed"
  exit 1
}

# Prints those entries of a list that the machine lacks.
missing_of() {  # test entry...
  local test=$1 entry
  shift
  for entry in "$@"; do
    if [[ $entry == *:* ]] && command -v "${entry%%:*}" > /dev/null; then continue; fi
    first_of "$test" "${entry#*:}" > /dev/null || printf '%s\n' "${entry#*:}"
  done
}

setup_debian() {
  # One line per architecture.
  apt_has() { dpkg-query -W -f='${db:Status-Status}\n' "$1" 2> /dev/null | grep -qx installed; }
  apt_offers() { [[ $(apt-cache policy "$1" 2> /dev/null) == *Candidate:\ [0-9]* ]]; }
  local missing entry name wanted=""
  # shellcheck disable=SC2086  # the list is made of words
  missing=$(missing_of apt_has $debian)
  [[ -n $missing ]] || return 0
  # shellcheck disable=SC2086
  refuse_to_install $missing
  say "refreshing the package index"
  logged as_root apt-get update -qq
  for entry in $missing; do
    if ! name=$(first_of apt_offers "$entry"); then
      say "this system's archive has none of: ${entry//|/, } (Debian 12 or Ubuntu 24.04 and newer are supported)"
      exit 1
    fi
    wanted+=" $name"
  done
  say "installing$wanted"
  # shellcheck disable=SC2086
  logged as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=600 $wanted
}

setup_macos() {
  if ! command -v brew > /dev/null; then
    say "Homebrew (https://brew.sh) is needed to install the libraries"
    exit 1
  fi
  xcode-select -p > /dev/null 2>&1 || { say "the compiler is missing: xcode-select --install"; exit 1; }
  local installed missing
  installed=" $(brew list --formula -1 | tr '\n' ' ') "
  brew_has() { [[ $installed == *" $1 "* ]]; }
  # shellcheck disable=SC2086
  missing=$(missing_of brew_has $brew)
  [[ -n $missing ]] || return 0
  # shellcheck disable=SC2086
  refuse_to_install $missing
  # shellcheck disable=SC2086
  say "installing" $missing
  # shellcheck disable=SC2086
  logged env HOMEBREW_NO_AUTO_UPDATE=1 brew install -q $missing
}

if [[ $(uname -s) == Darwin ]]; then
  setup_macos
elif command -v apt-get > /dev/null && command -v dpkg-query > /dev/null; then
  setup_debian
else
  say "neither apt nor Homebrew here; going on with what is installed. Needed, by their Debian names: ${debian//$'\n'/ }"
fi
printf '%s\n' "$key" > "$stamp"
