#!/usr/bin/env bash
# Where a run starts and ends: --init-from, train.steps, train.patience; what its head and result say of floor and beta.
# training_settings_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 500 100  # 4 steps an epoch

small=(data.source=idx data.dir=digits model.encoder=16 model.decoder=16 train.threads=1 train.reproducible=exact)
run() {  # NAME WORD...
  local name=$1
  shift
  "$program" train "${small[@]}" "$@" --out "$name" --progress plain >"$name.out" 2>&1 || cat "$name.out"
}

run steps train.steps=6
check "train.steps ends the run within an epoch" same "$(value steps/result.json steps_done)" 6
check "whose examples are measured" same "$(sed -n 3p steps/metrics.jsonl | cut -d, -f2,4)" '"epoch":2,"examples":256'
check "the head says so" matches steps.out "^training +6 steps"

run impatient train.epochs=40 train.patience=2 optimizer.lr=1e-9 model.output_bias=data_mean
best=$(value impatient/result.json best epoch)
check "train.patience ends a run that does not improve" same "$(value impatient/result.json status)" complete
check "after two epochs without a better one" same "$(value impatient/result.json epochs_done)" "$((best + 2))"
check "and says so" contains impatient.out "stopped early: 2 epochs without a better elbo"

run first train.epochs=1
run second train.steps=1 --init-from first optimizer.lr=1e-30
check "--init-from starts from a run's weights" same "$(weights_of second)" "$(weights_of first)"
run third train.steps=1 --init-from "first/$(value first/result.json weights)" optimizer.lr=1e-30
check "or from a file's" same "$(weights_of third)" "$(weights_of first)"
"$launcher" -n 2 train "${small[@]}" --init-from first model.latent=3 --out other >other.out 2>other.err
check "weights that do not fit are a configuration error" same $? 2
check "in one sentence" one_sentence other.err
check "with the tensor and what to do" matches other.err "--init-from first does not fit, because the tensor '.*' has shape .* model\.\*"
check "and no folder" fails test -e other

check "the head tells the floor of a Bernoulli loss on grey values" matches first.out "^likelihood +bernoulli on grey values.*test [0-9.]+"
check "and so does result.json" "$python" -c "
import json
result = json.load(open('first/result.json'))
for split in ('train', 'test'):
    assert 20 < result['recon_floor_nats'][split] < result['final'][split]['recon_nats'], result"
run binary train.epochs=1 data.binarise=static
check "which binary values have not" fails contains binary.out "grey values"

run warned train.epochs=1 objective.anneal=linear objective.anneal_steps=1000 objective.kind=iwae objective.beta=2
check "a warm-up longer than the run is a warning" contains warned.out "longer than the run of 4"
check "beta in importance weights is another" matches warned.out "^warning +beta 2 stands inside the importance weights"
check "a plain run has none" fails contains first.out warning
finish
