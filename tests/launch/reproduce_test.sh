#!/usr/bin/env bash
# tests/reproduce.py judges runs by the heads of their recipes.    reproduce_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 300 60
reproduce=$repository/tests/reproduce.py

recipe() {  # NAME LINE...   of its head
  local name=$1
  shift
  { printf '# %s\n' "$@" && printf '[data]\nsource = idx\ndir = digits\n[model]\nencoder = 8\ndecoder = 8\n[train]\nepochs = 3\n'; } >"$name.cfg"
}
judged() { value "out/$1.json" checks "$2" "$3"; }  # NAME CHECK KEY

recipe first "seeds: 2" "evaluate: --importance-samples 3" "check: test.loss, epochs 2-3, about 1" "check: test.loss, epoch 9, 1 +- 1" \
  "check: result.steps_done, end, exactly 9" "check: evaluate.nll_nats, epoch 3, below 1000" "check: result.status, end, exactly complete"
"$reproduce" first.cfg train.threads=1 --out out >said 2>&1
check "what meets its expectations ends with 0" same $? 0
check "obtained is the mean of the epochs, and of the seeds" "$python" - <<'PYTHON'
import json
lines = [[json.loads(line) for line in open(f"out/first-seed{seed}/metrics.jsonl")] for seed in (1, 2)]
means = [sum(line["loss"] for line in run if line["split"] == "test" and line["epoch"] > 1) / 2 for run in lines]
found = json.load(open("out/first.json"))["checks"][0]
assert all(abs(a - b) < 1e-12 for a, b in zip(found["seeds"], means)), (found, means)
assert abs(found["obtained"] - sum(means) / 2) < 1e-12 and means[0] != means[1]
PYTHON
check "what is only shown is not judged" same "$(judged first 0 passed)" null
check "nor what a run does not reach" same "$(judged first 1 obtained) $(judged first 1 passed)" "null null"
check "a number that is met is" same "$(judged first 2 passed)" true
check "the likelihood was measured" same "$(judged first 3 passed)" true
check "the table names what failed, here nothing" fails grep -q FAILED said

loss=$(judged first 0 obtained)
near=$("$python" -c "print(round($loss, 3))")
recipe second "seeds: 2" "check: test.loss, epochs 2-3, $near +- 0.001" "check: result.status, end, exactly complete"
recipe third "seeds: 2" "check: test.loss, epochs 2-3, $("$python" -c "print(round($loss + 0.01, 3))") +- 0.001" "check: result.status, end, exactly failed"
check "a value within its tolerance passes" "$reproduce" second.cfg train.threads=1 --out out
"$reproduce" third.cfg train.threads=1 --out out >said 2>&1
check "one outside does not" same "$? $(grep -c FAILED said)" "1 2"
runs=$(sha256sum out/second-seed*/metrics.jsonl)
"$reproduce" second.cfg train.threads=1 --out out >/dev/null
check "runs that are there are not repeated" same "$(sha256sum out/second-seed*/metrics.jsonl)" "$runs"

# The same network, trained further: lower in log p(x) by far.
recipe longer "evaluate: --importance-samples 3" "below: first" "check: result.status, end, exactly complete"
sed -i 's/^epochs = 3/epochs = 60/' longer.cfg
"$reproduce" longer.cfg train.threads=1 --out out >said 2>&1
check "a model is compared with another, image by image" same "$(judged longer 1 passed)" true
recipe shorter "evaluate: --importance-samples 3" "below: longer" "check: result.status, end, exactly complete"
"$reproduce" shorter.cfg train.threads=1 --out out >said 2>&1
check "the worse one fails" same "$? $(judged shorter 1 passed)" "1 false"

recipe broken "check: test.loss, sometimes, 1"
"$reproduce" broken.cfg --list >said 2>&1
check "a check that cannot be read is refused" matches said "cannot read .check: test.loss, sometimes, 1."
"$reproduce" nothing >said 2>&1
check "and so is a recipe that is not there" contains said "no recipe"
for config in "$repository"/configs/*.cfg; do
  check "the head of $(basename "$config") can be read" "$reproduce" "$config" --list
done
finish
