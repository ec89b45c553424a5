#!/usr/bin/env bash
# A run that diverges: all ranks agree where, one sentence says which row, term, step and example, and what was measured
# stays.    nonfinite_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 500 100

# A linear network with far too large a rate and a KL that may become infinite: finite for two epochs of three steps, then not.
diverging=("$repository/configs/pytorch_examples.cfg" data.source=idx data.dir=digits model.activation=identity
  model.encoder=64 model.decoder=64 model.posterior=softplus_squared optimizer.lr=0.06 train.batch_size=200 train.epochs=50)
sentence_of() { grep '^elbow: ' "$1.err"; }

diverge() {  # RUN RANKS WORD...
  local run=$1 ranks=$2
  shift 2
  "$launcher" -n "$ranks" train "${diverging[@]}" "$@" --out "$run" --progress none >"$run.out" 2>"$run.err" </dev/null
  check "$run: ends with 1" same $? 1
  check "$run: one sentence is told" one_sentence "$run.err"
  check "$run: result.json says failed, 1" same \
    "$(value "$run/result.json" status) $(value "$run/result.json" exit_code)" "failed 1"
  check "$run: with that sentence" same "elbow: $(value "$run/result.json" error)" "$(sentence_of "$run")"
  check "$run: row, term, step and the first bad example are named" matches "$run.err" \
    "the (KL|reconstruction) of row 0 is not finite at step [0-9]+ \(epoch [0-9]+\): .* first bad example is [0-9]+ of split 'train'"
  check "$run: the weights of the last good step are kept" same \
    "$(value "$run/result.json" weights)" "checkpoints/step_$(printf %09d "$(value "$run/result.json" steps_done)")/model.safetensors"
  check "$run: and are finite" "$python" -c "
import numpy, sys
from safetensors.numpy import load_file
assert all(numpy.isfinite(tensor).all() for tensor in load_file(sys.argv[1]).values())" \
    "$run/$(value "$run/result.json" weights)"
}
diverge one 1
diverge two 2
check "two ranks say what one says" same "$(sentence_of two)" "$(sentence_of one)"
check "in the third epoch, whose first step is the seventh" contains one.err "at step 7 (epoch 3)"
check "so two epochs' metrics are kept" same "$(wc -l <one/metrics.jsonl)" 4
check "and every line is JSON, with null for what is no number" "$python" -c "
import json
for line in open('one/metrics.jsonl'):
    entry = json.loads(line, parse_constant=lambda name: exit(f'{name} is not JSON'))
    assert [name for name, value in entry.items() if value is None] == entry.get('nonfinite', []), entry"

diverge exact 1 train.reproducible=exact
diverge exact3 3 train.reproducible=exact
check "exact: three ranks say what one says" same "$(sentence_of exact3)" "$(sentence_of exact)"
check "exact: and keep its weights" same "$(weights_of exact3)" "$(weights_of exact)"

diverge unshuffled 2 train.shuffle=false
check "without shuffling an example's place is its number" matches unshuffled.err \
  "example is ([0-9]+) of split 'train', at position \1;"
finish
