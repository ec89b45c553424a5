#!/usr/bin/env bash
# Sets up, builds and runs the tests.
#   tests/run.sh [--slow] [ctest arguments]     --slow adds the long ones; -R PATTERN selects some
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../launch/setup/stages.sh"

selection=(--label-exclude '^slow$')
if [[ ${1:-} == --slow ]]; then
  selection=()
  shift
fi

package_options=(--tests)
set_up_and_build all
echo "== tests"
cd "$build_folder"
exec ctest --output-on-failure --no-tests=error --parallel "$(nproc)" "${selection[@]}" "$@"
