#!/usr/bin/env bash
# `elbow bench` prints one JSON object with the figures that other tools read.
#   bench_test.sh PROGRAM LAUNCHER
set -euo pipefail
program=$1 launcher=$2
small=(model.encoder=16 model.decoder=16 train.batch_size=1024 train.threads=1)

check() {
  "$ELBOW_PYTHON" -c '
import json, sys
result = json.loads(sys.stdin.read())
for key in sys.argv[1:]:
    assert result[key] > 0, (key, result[key])
print({key: result[key] for key in sys.argv[1:]})' "$@"
}

"$program" bench step "${small[@]}" --json |
  check examples_per_s step_ms product_limit_share peak_rss_mb
"$launcher" -n 2 bench step "${small[@]}" train.reproducible=exact --json |
  check examples_per_s step_ms product_limit_share ranks leaves
"$launcher" -n 2 bench comm --json |
  "$ELBOW_PYTHON" -c '
import json, sys
result = json.loads(sys.stdin.read())
assert result["ranks"] == 2 and result["backend"] == "mpi", result
for row in result["sizes"]:
    assert row["all_reduce_us"] > 0 and row["all_gather_us"] > 0, row
assert len(result["sizes"]) >= 5'

if "$program" bench 2> /tmp/bench_test.$$; then exit 1; else code=$?; fi
message=$(cat /tmp/bench_test.$$)
rm -f /tmp/bench_test.$$
[[ $code == 2 && $message == *"elbow bench step"* ]] || { echo "code $code: $message"; exit 1; }
