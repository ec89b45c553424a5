#!/usr/bin/env bash
# A run that diverges: all ranks agree where, one sentence says which row, term, step and example, and what was measured
# stays.    nonfinite_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 500 100

# A linear network with far too large a rate and a KL that may become infinite: finite for two epochs of three steps, then not.
diverging=("$repository/configs/pytorch_examples.cfg" data.source=idx data.dir=digits model.activation=identity
  model.encoder=64 model.decoder=64 model.posterior=softplus_squared optimizer.lr=0.06 train.batch_size=200)
sentence_of() { grep '^elbow: ' "$1.err"; }

diverge() {  # RUN RANKS WORD...
  local run=$1 ranks=$2
  shift 2
  "$launcher" -n "$ranks" train "${diverging[@]}" train.epochs=50 "$@" --out "$run" --progress none >"$run.out" 2>"$run.err" </dev/null
  check "$run: ends with 1" same $? 1
  check "$run: one sentence is told, after those of rollbacks" same "$(sentence_of "$run" | grep -vc 'rollback [0-9] of')" 1
  check "$run: result.json says failed, 1" same \
    "$(value "$run/result.json" status) $(value "$run/result.json" exit_code)" "failed 1"
  check "$run: with that sentence" same "elbow: $(value "$run/result.json" error)" "$(sentence_of "$run" | tail -n 1)"
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

# --- Rollback --------------------------------------------------------------------------------------------------------------
back=(train.on_nonfinite=rollback train.rollback_factor=0.1 train.epochs=5)
for ranks in 1 3; do
  "$launcher" -n $ranks train "${diverging[@]}" "${back[@]}" train.reproducible=exact --out back$ranks --progress none \
    >back$ranks.out 2>back$ranks.err </dev/null
  check "$ranks ranks: with a smaller rate the run ends well" same $? 0
  check "$ranks ranks: after some rollbacks" test "$(value back$ranks/result.json rollbacks)" -gt 0
  check "$ranks ranks: each of which is told" same "$(grep -c "rollback [0-9] of at most 3, to step" back$ranks.err)" \
    "$(value back$ranks/result.json rollbacks)"
  check "$ranks ranks: and is in the result" matches back$ranks/result.json "is not finite at step 7 .*: rollback 1 of at most 3"
  check "$ranks ranks: the metrics have no seam" same "$(wc -l <back$ranks/metrics.jsonl)" 10
done
check "three ranks give the weights of one" same "$(weights_of back3)" "$(weights_of back1)"
diverge limited 2 train.on_nonfinite=rollback train.rollback_factor=1 train.rollback_limit=2
check "a limit ends it" same "$(value limited/result.json rollbacks)" 2
"$launcher" -n 2 resume exact train.on_nonfinite=rollback train.rollback_factor=0.1 train.epochs=5 >out 2>err
check "a run that has diverged can be resumed with rollbacks" same $? 0
check "and goes back to before the weights that fail" matches exact/result.json "rollback 1 of at most 3, to step 3 "

diverge unshuffled 2 train.shuffle=false
check "without shuffling an example's place is its number" matches unshuffled.err \
  "example is ([0-9]+) of split 'train', at position \1;"
finish
