#!/usr/bin/env bash
# Everything about the sources that neither compiler nor tests see: tools/lint.sh [CHECK...]
#
# Checks: folders, includes, words, python, shell, format, tidy. Without arguments all of them. Prints what is wrong and
# ends with a status that says whether anything was. Only files that git knows (or would add) are looked at.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=build.sh
. "$root/tools/build.sh"
cd "$root" || exit 1

# Which third-party headers may be included where: a pattern on the name between <> or "", then the folders under src/.
# fmt and tl/expected.hpp are missing here: base publishes them to everyone.
third_party='
  ^spdlog/                                       base
  ^nlohmann/                                     models hub protocol intelligence cli store report
  ^(jpeglib|jerror|png|pngconf)\.h$|^webp/       image
  ^xxhash\.h$                                    image recording
  ^libav(format|codec|util)/|^libswscale/        recording
  ^sqlite3\.h$                                   store
  ^openssl/                                      models hub
  ^(llama|mtmd|ggml|gguf)[a-z0-9-]*\.h$          engine/llama
  ^curl/                                         http
  ^CLI/                                          cli
  ^(gtest|gmock|benchmark)/                      (tests and bench)
'

# What a committed text must not name: a folder of one machine, a host that packages happen to come from.
# The brackets keep these lines from finding themselves.
machine_paths='(^|[^A-Za-z0-9_.~-])/(work|root|home|Users)[/]'
registry_hosts='registry\.npm[j]s|pypi\.o[r]g|pythonhosted\.o[r]g|deb\.debian\.o[r]g|archive\.ubuntu\.c[o]m'

failed=0
complain() {
  printf '%s\n' "$*"
  failed=1
}

# Tracked files and new ones that are not ignored, so that a check before the first commit sees them too.
files() {  # pathspec...
  git ls-files --cached --others --exclude-standard -- "$@" | while IFS= read -r f; do
    [[ ! -f $f ]] || printf '%s\n' "$f"
  done
}

llvm_tool() {  # name
  if command -v "$1-16" > /dev/null; then
    echo "$1-16"
  elif command -v brew > /dev/null && [[ -x $(brew --prefix llvm@16 2> /dev/null)/bin/$1 ]]; then
    echo "$(brew --prefix llvm@16)/bin/$1"
  else
    say "$1-16 is not installed (tools/setup.sh ci)"
    return 1
  fi
}

check_format() {
  local tool
  tool=$(llvm_tool clang-format) || { failed=1; return; }
  files 'src/*.h' 'src/*.cpp' 'tests/*.h' 'tests/*.cpp' 'fuzz/*.h' 'fuzz/*.cpp' 'bench/*.h' 'bench/*.cpp' |
    tr '\n' '\0' | xargs -0 "$tool" --dry-run -Werror 2>&1 || complain "format: run $tool -i on the files above"
}

check_tidy() {
  local tool database=build/release/compile_commands.json
  tool=$(llvm_tool clang-tidy) || { failed=1; return; }
  configure release || { failed=1; return; }
  # The analyser looks into short functions only ("shallow"): it finds nearly as much in some 60 % of the time.
  # shellcheck disable=SC2016  # the inner shell expands these
  files 'src/*.cpp' | while IFS= read -r f; do
    grep -qF "/$f\"" "$database" && printf '%s\0' "$f"
  done | xargs -0 -n 1 -P "$(cores)" sh -c '
    out=$("$0" --quiet --extra-arg=-Wno-unknown-warning-option \
      --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=mode=shallow \
      -p build/release "$1" 2>&1) || { printf "%s\n" "$out"; exit 1; }' "$tool" ||
    complain "tidy: see above"
}

check_shell() {
  if ! command -v shellcheck > /dev/null; then
    complain "shell: shellcheck is not installed (tools/setup.sh ci)"
    return
  fi
  files run test .ci/run '*.sh' | tr '\n' '\0' | xargs -0 shellcheck -x -P SCRIPTDIR || complain "shell: see above"
}

check_python() {
  files '*.py' | while IFS= read -r f; do
    python3 -c 'import ast, sys; ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])' "$f" || echo "$f"
  done 2>&1 | grep . && complain "python: see above"
}

check_folders() {
  local found
  found=$(files . | grep -E '(^|/)(utils?|common|misc)/')
  [[ -z $found ]] || complain "folders: a name that says nothing: $found"
}

# Lines "file<TAB>header" of all includes of the files given on standard input.
includes_of() {
  local f
  while IFS= read -r f; do
    sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]([^>"]+)[>"].*/\1/p' "$f" | while IFS= read -r header; do
      printf '%s\t%s\n' "$f" "$header"
    done
  done
}

check_includes() {
  local includes pattern owners owner f header mine theirs allowed
  includes=$(files 'src/*.h' 'src/*.cpp' | includes_of)
  while read -r pattern owners; do
    [[ -n $pattern ]] || continue
    while IFS=$'\t' read -r f header; do
      [[ $header =~ $pattern ]] || continue
      allowed=0
      for owner in $owners; do
        [[ $f == src/$owner/* ]] && allowed=1
      done
      ((allowed)) || complain "includes: $f includes <$header>, which belongs to: $owners"
    done <<< "$includes"
  done <<< "$third_party"

  # A folder that includes another one links it by name, so that CMakeLists.txt tells who knows whom. Everyone knows base.
  while IFS=$'\t' read -r f header; do
    mine=${f#src/}
    mine=${mine%%/*}
    theirs=${header%%/*}
    [[ $header == */* && -d src/$theirs && $theirs != "$mine" && $theirs != base ]] || continue
    grep -qE "escribano::$theirs([^a-z]|\$)" "src/$mine/CMakeLists.txt" ||
      complain "includes: $f includes \"$header\", but src/$mine/CMakeLists.txt does not link escribano::$theirs"
  done <<< "$includes"
}

check_words() {
  files . | grep -vx tools/lint.sh | tr '\n' '\0' | xargs -0 grep -InE "$machine_paths|$registry_hosts" &&
    complain "words: the lines above name a folder of one machine or a package registry"
}

run_check() {
  case $1 in
    folders) check_folders ;;
    includes) check_includes ;;
    words) check_words ;;
    python) check_python ;;
    shell) check_shell ;;
    format) check_format ;;
    tidy) check_tidy ;;
    *) echo "usage: tools/lint.sh [folders|includes|words|python|shell|format|tidy]..." >&2; exit 2 ;;
  esac
}

if (($# == 0)); then set -- folders includes words python shell format tidy; fi
for check in "$@"; do run_check "$check"; done
exit "$failed"
