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

"$program" bench sweep model.encoder=16 model.decoder=16 train.threads=1 --json |
  "$ELBOW_PYTHON" -c '
import json, sys
result = json.loads(sys.stdin.read())
assert [pack["rows"] for pack in result["packs"]] == [1, 4, 16, 64], result
assert all(pack["model_examples_per_s"] > 0 for pack in result["packs"]), result
assert result["packs"][-1]["mb_per_row"] > 0 and result["rows_per_pack_auto"] >= 1, result'

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '[train]\nepochs = 4\n[sweep]\nobjective.kl_wt = logspace(1e-4, 1e-1, 40)\n' >"$folder/small.cfg"
(cd "$folder" && "$launcher" -n 2 bench scaling small.cfg sweep.repeats=2 --json) |
  "$ELBOW_PYTHON" -c '
import json, sys
result = json.loads(sys.stdin.read())
assert [line["groups"] for line in result["curve"]] == [1, 3, 10, 30, 100, 300, 1000, 1000], result
for line in result["curve"]:
    assert line["trials"] == 80 and line["lost"] == line["completed_twice"] == line["trained_at_once"] == 0, line
assert 0 < result["look_ns"] < 1e5 and 0 < result["coordinator_core_share"], result'
[[ $(ls "$folder") == small.cfg ]] || { echo "bench scaling leaves files: $(ls "$folder")"; exit 1; }

if "$program" bench 2> /tmp/bench_test.$$; then exit 1; else code=$?; fi
message=$(cat /tmp/bench_test.$$)
rm -f /tmp/bench_test.$$
[[ $code == 2 && $message == *"elbow bench step"* ]] || { echo "code $code: $message"; exit 1; }
