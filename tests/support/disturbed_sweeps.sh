# Sweeps that something is done to, and what they are compared with: `whole`, of `trials` trials.   source it after support/shell.sh
# shellcheck shell=bash disable=SC2154

trial() { printf '%s/trials/%06d' "$1" "$2"; }  # RUN NUMBER

ranks_of() { own_processes "(sweep|resume) .*$1( |\$)"; }  # RUN
none_left() { [[ -z $(ranks_of "$1") ]]; }
# rank_of RUN RANK
rank_of() {
  local p
  for p in $(ranks_of "$1"); do
    is_rank "$p" "$2" && echo "$p"
  done
}

# ends_of RUN   how often each trial was ended, and how: "8 [(1,)]" where all of 8 are complete, once.
ends_of() { "$python" -c '
import json, sys
ended = {}
for line in open(sys.argv[1]):
    entry = json.loads(line)
    if entry["op_code"] == 6 and entry["state"] != 0: ended.setdefault(entry["trial_id"], []).append(entry["state"])
print(len(ended), sorted({tuple(states) for states in ended.values()}))' "$1/ledger.jsonl"; }

# differing_trials RUN   those without the weights and metrics of `whole`, a line each.
differing_trials() {
  local t
  for ((t = 0; t < trials; ++t)); do
    [[ $(weights_of "$(trial "$1" $t)") == "$(weights_of "$(trial whole $t)")" &&
      $(metrics_of "$(trial "$1" $t)") == "$(metrics_of "$(trial whole $t)")" ]] || echo "trial $t differs"
  done
}
# untold_epochs RUN   those that are in a trial's metrics and not in the ledger.
untold_epochs() { "$python" -c '
import json, pathlib, sys
sweep, told, number = pathlib.Path(sys.argv[1]), {}, []
for line in open(sweep / "ledger.jsonl"):
    entry = json.loads(line)
    if entry["op_code"] == 4: number.append(entry["user_attrs"]["trial"])
    if entry["op_code"] == 7: told.setdefault(number[entry["trial_id"]], set()).add(entry["step"])
for trial in sorted(number):
    lines = map(json.loads, open(sweep / f"trials/{trial:06}/metrics.jsonl"))
    for epoch in sorted({line["epoch"] for line in lines} - told.get(trial, set())): print(f"trial {trial}, epoch {epoch}")' "$1"; }
is_whole() {  # RUN WHAT
  check "$2: all trials are complete, once each" same "$(ends_of "$1")" "$trials [(1,)]"
  check "$2: with their bits" same "$(differing_trials "$1")" ""
  check "$2: every epoch is in the ledger" same "$(untold_epochs "$1")" ""
}
