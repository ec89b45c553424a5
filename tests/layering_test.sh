#!/usr/bin/env bash
# The tree keeps its rules (tests/layering.py), and the check itself notices when one is broken.
#   layering_test.sh PROGRAM LAUNCHER
set -euo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(dirname "$tests")
build_folder=$(dirname "$1")
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

check() { python3 -B "$tests/layering.py" "$1" "$build_folder"; }

# Expects that the copy, after what $2 does to it, is refused with a line that has $1 in it; then mends the copy.
refuses() {
  local expected=$1 found
  rm -rf "$copy/tree"
  cp -r "$copy/clean" "$copy/tree"
  (cd "$copy/tree" && eval "$2")
  if found=$(check "$copy/tree"); then
    echo "not noticed: $2" >&2
    exit 1
  fi
  grep -qF "$expected" <<<"$found" || { echo "'$expected' is not in: $found" >&2 && exit 1; }
}

check "$repository"

mkdir "$copy/clean"
tar -C "$repository" --exclude ./.git --exclude ./build --exclude ./runs --exclude ./configs/data -cf - . |
  tar -C "$copy/clean" -xf -
refuses "models/philox.cpp includes" 'echo "#include \"comm/communicator.h\"" >>models/philox.cpp'
refuses "comm/error.h includes" 'echo "#include \"trainer/settings.h\"" >>comm/error.h'
refuses "paths start at the repository" 'echo "#include \"error.h\"" >>comm/error.cpp'
refuses "it must be elbow::comm" 'echo "namespace elbow::models {}" >>comm/error.cpp'
refuses "is in no target" 'mkdir -p tests/deep && touch tests/deep/forgotten_test.cpp'
refuses "is used by nothing" 'touch tests/stray_$$.py'
refuses "pipes into grep -q" 'echo "ldd elbow |""grep -q mpi" >>launch/quickstart.sh'
refuses "top level" 'mkdir util'
refuses "more than 40" 'seq 41 >tests/README.md'
echo "every planted violation was noticed"
