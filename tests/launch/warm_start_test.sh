#!/usr/bin/env bash
# sweep.warm_start: a trial begins with the last weights of one with a smaller weight of the KL, which one the sweep's file
# decides; so its bits do not depend on ranks and packs, and it can be repeated alone.    warm_start_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
source "$repository/tests/support/disturbed_sweeps.sh"
few_digits digits 300 100
recipe=("$repository/configs/kl_vae.cfg" data.source=idx data.dir="$folder/digits" model.encoder=16 model.decoder=16
  train.batch_size=64 train.leaves=4 train.epochs=2 train.reproducible=exact train.threads=1 log.tensorboard=false
  sweep.objective.kl_wt='1e-1, 1e-2, 1e-3, 1e-4' sweep.warm_start=true --progress plain)
sources() { "$python" -c '
import json, sys
source = {}
for line in open(sys.argv[1]):
    entry = json.loads(line)
    if entry["op_code"] == 4: source[entry["user_attrs"]["trial"]] = entry["user_attrs"].get("warm_start_from")
print(" ".join("-" if source[t] is None else str(int(source[t])) for t in sorted(source)))' "$1/ledger.jsonl"; }

"$program" sweep "${recipe[@]}" sweep.rows_per_pack=1 --out one >out 2>&1
check "a sweep with warm starts ends" same $? 0 || cat out
# In the order of weight trials 3, 2, 1, 0: the first begins as ever, 2 and 1 after 3, 0 after 1.
check "the ledger names each trial's source" same "$(sources one)" "1 3 3 -"
check "results.csv too" matches one/results.csv "warm_start_from"
check "and the trial's manifest" same "$(value "$(trial one 0)/manifest.json" init_from)" "$(readlink -f "$(trial one 1)")"
for ((t = 0; t < 4; ++t)); do
  from=()
  ((t == 3)) || from=(--init-from "$(value "$(trial one $t)/manifest.json" init_from)")
  "$program" train "$(trial one $t)/config.cfg" "${from[@]}" --out "alone-$t" --progress none >out 2>&1 || cat out
  check "trial $t can be repeated alone" same "$(weights_of "alone-$t") $(metrics_of "alone-$t")" "$(weights_of "$(trial one $t)") $(metrics_of "$(trial one $t)")"
done
"$program" train "$(trial one 0)/config.cfg" --out cold --progress none >out 2>&1
check "which is not what it is without its source" differ "$(weights_of cold)" "$(weights_of "$(trial one 0)")"

"$launcher" -n 2 sweep "${recipe[@]}" sweep.rows_per_pack=3 --out packed >out 2>&1 </dev/null
check "on two ranks, in packs" same $? 0
"$launcher" -n 2 sweep "${recipe[@]}" sweep.ranks_per_group=2 sweep.rows_per_pack=2 train.max_time=0.001 --out stopped >out 2>&1 </dev/null
check "stopped at once" same $? 75
"$program" resume stopped train.max_time=none >out 2>&1
check "and resumed" same $? 0
for name in packed stopped; do
  wrong=0
  for ((t = 0; t < 4; ++t)); do
    [[ $(weights_of "$(trial $name $t)") == "$(weights_of "$(trial one $t)")" ]] || wrong=$((wrong + 1))
  done
  check "$name: all trials have the same bits" same $wrong 0
done

refused() {  # TEXT WORD...
  "$program" sweep "${recipe[@]}" "${@:2}" --out never >out 2>err
  check "refused: $1" same $? 2
  check "... which says so" contains err "$1"
}
refused "--shard 1/2" --shard 1/2
refused "no two trials differ in objective.kl_wt" sweep.search=list sweep.optimizer.lr='1e-3, 2e-3, 3e-3, 4e-3'
finish
