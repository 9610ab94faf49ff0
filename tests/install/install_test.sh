#!/usr/bin/env bash
# What an installed Escribano is worth without the tree it came from: install_test.sh BUILD_FOLDER CXX_COMPILER
#
# Installs a build folder into an empty prefix, compiles a program against it, has it describe a picture by the installed
# bridge, and once more after the prefix has moved; then unpacks the archive that cpack makes, and asks its doctor. Nothing
# of the user's environment is seen by what runs, and nothing outlives the test.
set -euo pipefail

build=$(cd "$1" && pwd -P)
compiler=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
source=$(cd "$here/../.." && pwd -P)
work=$(mktemp -d "${TMPDIR:-/tmp}/escribano-install-XXXXXX") # short: a socket's path has room for 107 bytes
trap 'rm -rf "$work"' EXIT

give_up() {
  printf 'install_test: %s\n' "$*" >&2
  exit 1
}

quietly() { # command...
  "$@" > "$work/log" 2>&1 && return 0
  cat "$work/log" >&2
  give_up "this failed: $*"
}

# With a home of its own, which is empty, and without a setting.
alone() { # command...
  rm -rf "${work:?}/home"
  mkdir "$work/home"
  env -i HOME="$work/home" PATH="${path:-/usr/bin:/bin}" ESCRIBANO_MLX_SOCKET_PATH="$work/doctor.sock" "$@"
}

check_files() { # prefix
  local file found
  for file in bin/escribano bin/escribano-bridge share/escribano/demo-model/config.json share/man/man1/escribano.1 \
    share/bash-completion/completions/escribano share/zsh/site-functions/_escribano \
    share/fish/vendor_completions.d/escribano.fish; do
    [[ -e $1/$file ]] || give_up "$file was not installed"
  done
  # The build folder lies in the source tree, or not.
  found=$(grep -rlF -e "$build" -e "$source" "$1" || true)
  [[ -z $found ]] || give_up "these name the folder they were built in: $found"
}

describe() { # program
  local said
  said=$(alone "$work/client/say_what_is_shown" "$1" "$work/s.sock" "$source/assets/samples/frames/session-a-006.0s.jpg")
  [[ $said == *TablePlus* ]] || give_up "by $1 the picture shows: $said"
}

quietly cmake --install "$build" --prefix "$work/first"
check_files "$work/first"
quietly cmake -G Ninja -S "$here" -B "$work/client" -DCMAKE_PREFIX_PATH="$work/first" -DCMAKE_CXX_COMPILER="$compiler"
quietly cmake --build "$work/client"
describe "$work/first/bin/escribano"

mv "$work/first" "$work/second"
path=$work/second/bin:/usr/bin:/bin describe escribano

# A package is made of what DESTDIR holds.
DESTDIR=$work/stage quietly cmake --install "$build" --prefix /usr
check_files "$work/stage/usr"
[[ $(ls "$work/stage") == usr ]] || give_up "besides DESTDIR/usr there is: $(ls "$work/stage")"

quietly cpack --config "$build/CPackConfig.cmake" -B "$work/package"
mkdir "$work/unpacked"
tar -xzf "$work"/package/escribano-*.tar.gz -C "$work/unpacked" --strip-components 1
check_files "$work/unpacked"
alone "$work/unpacked/bin/escribano" doctor --model demo > "$work/log" 2>&1 || {
  cat "$work/log" >&2
  give_up "the doctor found something"
}
