# shellcheck shell=bash
# Configures and builds presets with little noise; sourced by run, test and .ci/run. `root` must be set.
#
# Progress goes to standard error: one line that moves on a terminal, a line per event elsewhere. What the tools print
# goes to build/PRESET.log, whose end is shown when something fails. Works with the bash 3.2 of macOS.
# shellcheck disable=SC2154  # root is set by the script that sources this

say() { printf 'escribano: %s\n' "$*" >&2; }

cores() { getconf _NPROCESSORS_ONLN 2> /dev/null || echo 2; }

show_end_of() {  # log
  tail -n 40 "$1" >&2
  say "the whole log is in $1"
}

# Whether the cache of cmake/llama.cmake has a llama.cpp at all. Only messages depend on it.
llama_is_built() {
  local cache=${ESCRIBANO_BUILD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/escribano-build}
  [[ -n $(find "$cache" -maxdepth 2 -name .done 2> /dev/null) ]]
}

# Configures unless an earlier configure of this very tree stands. Changed CMake files need nothing here: ninja sees them.
configure() {  # preset
  local build=$root/build/$1 stamp=$root/build/$1/.configured log=$root/build/$1.log fresh=""
  if [[ -f $stamp && -f $build/build.ninja && ! $root/CMakePresets.json -nt $stamp ]] &&
    [[ $(<"$stamp") == "$root" ]]; then
    return 0
  fi
  mkdir -p "$root/build"
  # A build folder that was moved or copied with its tree still points to the old one.
  if [[ -f $build/CMakeCache.txt ]] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$build/CMakeCache.txt"; then
    fresh=--fresh
  fi
  if llama_is_built; then
    say "configuring $1"
  else
    say "configuring $1; this first time it fetches and builds llama.cpp, which takes some minutes"
  fi
  # Node brings its own list of certificate authorities; a proxy's is in the system's.
  if [[ -z ${NODE_EXTRA_CA_CERTS:-} && -f /etc/ssl/certs/ca-certificates.crt ]]; then
    export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
  fi
  if ! (cd "$root" && cmake $fresh --preset "$1" < /dev/null > "$log" 2>&1); then
    show_end_of "$log"
    say "configuring $1 failed"
    return 1
  fi
  printf '%s\n' "$root" > "$stamp"
}

# Reads ninja's output, keeps it in a log and shows how far it is.
follow_ninja() {  # log
  local line width total shown=0
  width=80
  if [[ -t 2 ]]; then width=$(tput cols 2> /dev/null || echo 80); fi
  while IFS= read -r line; do
    printf '%s\n' "$line" >> "$1"
    [[ $line == \[* ]] || continue
    if [[ -t 2 ]]; then
      printf '\r\033[K%s' "${line:0:width-1}" >&2
    elif ((shown == 0)); then
      total=${line#*/}
      say "building, steps: ${total%%]*}"
    fi
    shown=1
  done
  if [[ -t 2 && $shown == 1 ]]; then printf '\r\033[K' >&2; fi
}

# Configures if needed and builds the targets (all of them when none is named).
build() {  # preset [target...]
  local preset=$1 log=$root/build/$1.log
  shift
  configure "$preset" || return 1
  : > "$log"
  if ! NINJA_STATUS='[%f/%t] ' ninja -C "$root/build/$preset" "$@" < /dev/null 2>&1 | follow_ninja "$log"; then
    show_end_of "$log"
    say "building $preset failed"
    return 1
  fi
}

# One build at a time in one folder (where the system has flock).
lock_build() {  # preset
  mkdir -p "$root/build"
  exec 9> "$root/build/.lock-$1"
  command -v flock > /dev/null || return 0
  flock -n 9 && return 0
  say "waiting for another build of $1"
  flock 9
}

unlock_build() { exec 9>&-; }
