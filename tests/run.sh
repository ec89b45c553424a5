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
# A failure on a busy machine is told, and the test is run once more.
exec ctest --output-on-failure --no-tests=error --repeat until-pass:2 --parallel "$(nproc)" "${selection[@]}" "$@"
