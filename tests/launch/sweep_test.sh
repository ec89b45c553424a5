#!/usr/bin/env bash
# A sweep trains each trial to the bits that it has alone, in any packing, on any number of ranks, and whatever is killed on the
# way; a trial that diverges fails alone.    sweep_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
source "$repository/tests/support/disturbed_sweeps.sh"
few_digits digits 600 100  # with 100 for validation 8 steps an epoch of 64; the last has 52 examples

cat >small.cfg <<CFG
[data]
source = idx
dir = $folder/digits
validation = 100
binarise = stochastic
[model]
encoder = 24
decoder = 24
[objective]
reduction = pixel_mean
anneal = linear
anneal_steps = 12
[optimizer]
kind = adam
lr = 1e-2
[train]
batch_size = 64
leaves = 4
reproducible = exact
threads = 1
[sweep]
search = list
objective.kl_wt = 1e-4, 1e-3, 1e-2, 1e-1, 2e-3, 2e-2
optimizer.lr    = 1e-2, 9e-3, 1e-3, 8e-3, 2e-2, 7e-3
train.epochs    = 2, 5, 3, 6, 1, 4
CFG
trials=6

# sweep NAME RANKS WORD...   sets `code`.
sweep() {
  local name=$1 ranks=$2
  shift 2
  "$launcher" -n "$ranks" sweep small.cfg "$@" --out "$name" --progress plain >"$name.out" 2>"$name.err" </dev/null
  code=$?
}
states() { "$python" -c '
import json, sys
state = {}
number = {}
for line in open(sys.argv[1]):
    entry = json.loads(line)
    if entry["op_code"] == 4: state[len(state)] = entry.get("state", 0)
    if entry["op_code"] == 6: state[entry["trial_id"]] = entry["state"]
print("".join(str(state[t]) for t in sorted(state)))' "$1/ledger.jsonl"; }

# --- Each alone ------------------------------------------------------------------------------------------------------------
sweep whole 1 sweep.rows_per_pack=1
check "on one rank, one row: it ends" same $code 0
check "with all trials complete" same "$(states whole)" 111111
check "result.json says so" same "$(value whole/result.json status) $(value whole/result.json complete)" "complete $trials"
check "and each trial's" same "$(value "$(trial whole 3)/result.json" status)" complete
check "results.csv has a line for each" same "$(wc -l <whole/results.csv)" $((trials + 1))
for ((t = 0; t < trials; ++t)); do
  "$program" train "$(trial whole $t)/config.cfg" --out "alone-$t" --progress none >out 2>&1 || cat out
  check "trial $t has the weights that it has alone" same "$(weights_of "$(trial whole $t)")" "$(weights_of "alone-$t")"
  check "and the metrics" same "$(metrics_of "$(trial whole $t)")" "$(metrics_of "alone-$t")"
done
check "which differ between trials" differ "$(weights_of alone-0)" "$(weights_of alone-3)"
check "report, evaluate and resume take a trial for a run" "$program" report "$(trial whole 1)"
"$program" evaluate "$(trial whole 1)" --json >out 2>&1
check "evaluated anew it has its last line's numbers" matches out '"elbo_nats"'
for world in "1 1 3" "2 1 2" "3 1 1" "2 2 4" "3 2 2" "4 2 6"; do
  read -r ranks group rows <<<"$world"
  sweep packed "$ranks" sweep.ranks_per_group="$group" sweep.rows_per_pack="$rows"
  check "$ranks ranks in groups of $group, packs of $rows: ends" same $code 0
  ((code == 0)) || cat packed.err
  is_whole packed "$ranks ranks in groups of $group, packs of $rows"
  rm -rf packed
done
sweep automatic 2
check "the numbers of rows and groups may be left to it" same $code 0
is_whole automatic "automatic"

# --- Interrupted, and killed -------------------------------------------------------------------------------------------------
sweep stopped 2 sweep.rows_per_pack=2 train.max_time=0.001
check "a sweep whose time is up ends with 75" same $code 75
check "and says why" contains stopped.out "train.max_time"
check "result.json says interrupted" same "$(value stopped/result.json status)" interrupted
"$launcher" -n 3 resume stopped sweep.rows_per_pack=3 train.max_time=none >stopped.out 2>stopped.err </dev/null
check "it goes on, in mid-epoch, on other ranks and in other packs" same $? 0
is_whole stopped "stopped in mid-epoch and resumed"

cp -r whole unwritten
rm unwritten/result.json "$(trial unwritten 3)/result.json"
"$python" -c '
import json
lines = open("unwritten/ledger.jsonl").readlines()
kept = [line for line in lines if not ((entry := json.loads(line))["op_code"] == 6 and entry["trial_id"] == 3 and entry["state"] == 1)]
assert len(kept) == len(lines) - 1
open("unwritten/ledger.jsonl", "w").writelines(kept)'
"$launcher" -n 2 resume unwritten sweep.rows_per_pack=3 >unwritten.out 2>unwritten.err </dev/null
check "a trial that was killed behind its last checkpoint" same $? 0
check "is written down" same "$(value "$(trial unwritten 3)/result.json" status)" complete
is_whole unwritten "and not trained again"

# As a kill would leave it between a checkpoint at an epoch's end and the ledger's line of that epoch.
cp -r whole untold
"$python" -c '
import json
def is_kept(entry):
    if entry["op_code"] not in (6, 7, 8) or entry["trial_id"] != 3: return True
    return entry["op_code"] == 6 and entry["state"] == 0 or entry["op_code"] == 7 and entry["step"] < 5
lines = [line for line in open("untold/ledger.jsonl") if is_kept(json.loads(line))]
open("untold/ledger.jsonl", "w").writelines(lines)'
rm -r untold/result.json "$(trial untold 3)/result.json" "$(newest_of "$(trial untold 3)")"
check "the checkpoint that is left is of epoch 5" same "$(value "$(newest_of "$(trial untold 3)")/state.json" rows 0 epochs_done)" 5
"$launcher" -n 2 resume untold >untold.out 2>untold.err </dev/null
check "a trial goes on whose last epoch nobody heard of" same $? 0
is_whole untold "heard of later"

slow=(checkpoint.every_steps=2 log.pictures_every=1)  # some seconds, so that no machine is done before it loses a rank
begun() { compgen -G "$1/trials/*/checkpoints/step_*" >/dev/null; }
killed() {  # NAME
  within 60 begun "$1"
  mapfile -t victims < <(ranks_of "$1")
  kill -KILL "${victims[@]}" 2>/dev/null
}
for ranks in 1 3; do
  name=killed-$ranks
  start "$launcher" -n $ranks sweep small.cfg "${slow[@]}" sweep.rows_per_pack=2 --out $name --progress plain
  killed $name
  exit_code_of "$process"
  [[ -e $name/result.json ]] || check "$name: a killed sweep is 75" same $code 75
  "$launcher" -n 2 resume $name sweep.rows_per_pack=3 >$name.out 2>$name.err </dev/null
  check "$name: it goes on" same $? 0
  is_whole $name "all of $ranks ranks killed, resumed on two"
  "$launcher" -n 1 resume $name >$name.out 2>$name.err </dev/null
  check "$name: resumed once more nothing is left to do" same $? 0
done

# --- One rank of three is lost ---------------------------------------------------------------------------------------------
lose() {  # NAME RANK WORD...   sets `code`
  local name=$1 rank=$2
  shift 2
  start "$launcher" -n 3 sweep small.cfg "${slow[@]}" "$@" --out "$name" --progress plain
  within 60 begun "$name"
  kill -KILL "$(rank_of "$name" "$rank")"
  exit_code_of "$process"
}
if [[ -n $ELBOW_OPEN_MPI ]] && ((${ELBOW_OPEN_MPI%%.*} >= 5)); then
  lose lost-group 2 sweep.rows_per_pack=1
  check "a lost rank that was a group does not end the sweep" same $code 0
  check "which says so" matches stdout "group 2 on .* is lost"
  is_whole lost-group "a group lost"
  lose smaller 1 sweep.ranks_per_group=3 sweep.rows_per_pack=3
  check "a group that loses a rank goes on" same $code 0
  check "smaller, and says so" matches stdout "group 0 has lost rank 1 on .*; the others go on"
  is_whole smaller "a smaller group"
fi

# --- A trial that diverges -------------------------------------------------------------------------------------------------
can_diverge=(model.activation=identity model.posterior=softplus_squared sweep.rows_per_pack=16
  sweep.objective.kl_wt='logspace(1e-4, 1e-1, 16)' sweep.train.epochs="$(printf '2, %.0s' {1..15})2")
sweep nan-free 1 "${can_diverge[@]}" sweep.optimizer.lr="$(printf '1e-2, %.0s' {1..15})1e-2"
check "16 trials in one pack end" same $code 0
sweep nan 1 "${can_diverge[@]}" sweep.optimizer.lr="$(printf '1e-2, %.0s' {1..6})100$(printf ', 1e-2%.0s' {1..9})"
check "with one trial that becomes NaN the sweep ends" same $code 0
check "that trial alone has failed" same "$(states nan)" 1111113111111111
check "with its report" matches "$(trial nan 6)/result.json" '"error": "the .* is not finite at step'
check "which is told" matches nan.out "trial 6 .* has failed: the .* is not finite"
wrong=0
for t in {0..5} {7..15}; do
  [[ $(weights_of "$(trial nan $t)") == "$(weights_of "$(trial nan-free $t)")" && $(metrics_of "$(trial nan $t)") == "$(metrics_of "$(trial nan-free $t)")" ]] ||
    { wrong=$((wrong + 1)) && echo "trial $t differs"; }
done
check "the 15 others have the bits that they have without it" same $wrong 0
"$program" train "$(trial nan 5)/config.cfg" --out beside --progress none >out 2>&1
check "and a neighbour those that it has alone" same "$(weights_of "$(trial nan 5)")" "$(weights_of beside)"

# --- A trial's folder that cannot be made ------------------------------------------------------------------------------------
sweep broken 2 sweep.rows_per_pack=1 train.max_time=0.001
rm -rf "$(trial broken 3)" && echo "in the way" >"$(trial broken 3)"
"$launcher" -n 2 resume broken train.max_time=none sweep.retries=2 >broken.out 2>&1 </dev/null
check "a sweep with a trial that fails around its training ends" same $? 0
check "that trial was tried again, as often as allowed" matches broken.out "trial 3 .* is tried again \(2 of 2\) after: .*000003"
check "and has failed for good" matches broken.out "trial 3 .* has failed: .*000003"
check "the ledger says so" same "$("$python" -c '
import json
print([line["user_attr"]["retries"] for line in map(json.loads, open("broken/ledger.jsonl")) if "retries" in line.get("user_attr", {})])')" "[1.0, 2.0]"
check "alone" same "$(value broken/result.json complete) $(value broken/result.json failed)" "5 1"

# --- What is refused ---------------------------------------------------------------------------------------------------------
refused() {  # CODE TEXT ARGUMENTS...
  local wanted=$1 text=$2
  shift 2
  "$program" "$@" >out 2>err </dev/null
  check "refused with $wanted: $text" same $? "$wanted"
  check "... in one sentence" one_sentence err
  check "... that says so" contains err "$text"
}
refused 2 "holds a sweep already" sweep small.cfg --out whole
refused 2 "other trials" sweep small.cfg sweep.repeats=2 --resume auto --out whole
refused 2 "rollback does not work in a sweep" sweep small.cfg train.on_nonfinite=rollback --out never
refused 2 "(data.validation = 700, " sweep small.cfg sweep.search=grid sweep.data.validation='100, 700' --out never
refused 2 "4 leaves" sweep small.cfg sweep.ranks_per_group=5 --out never
refused 2 "holds no sweep" sweep small.cfg --resume must --out never
check "and leaves no folder" fails test -e never

# --- Shards ------------------------------------------------------------------------------------------------------------------
for shard in 1/2 2/2; do
  sweep halves 1 --shard $shard
  check "shard $shard ends" same $code 0
done
check "each has its own ledger" same "$(find halves -name 'ledger_*.jsonl' | wc -l)" 2
check "together they have all trials" same "$(find halves/trials -name result.json | wc -l)" $trials
finish
