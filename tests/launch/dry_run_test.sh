#!/usr/bin/env bash
# --dry-run checks everything, tells what would happen, and leaves no trace.    dry_run_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 600 64
data=(data.source=idx data.dir="$folder/digits" train.threads=1 model.encoder=16 model.decoder=16)
trace() { find . -newer before -not -path './digits*' ! -name out ! -name err ! -name before | grep -v '^\.$'; }
try() { touch before && "$@" >out 2>err </dev/null; code=$?; }

# --- Training ----------------------------------------------------------------------------------------------------------------
try "$launcher" -n 2 train "${data[@]}" train.batch_size=100 train.epochs=3 --out run --dry-run
check "a dry run is done" same "$code" 0
check "steps and time" matches out '^time +about .*: 18 steps of .* ms, 3 evaluations of '
check "memory of each rank" same "$(grep -c '^memory .*rank [01]: .*iB in ' out)" 2
check "files" matches out '^files +into run: config.cfg, manifest.json'
check "with the size of a checkpoint" matches out '^checkpoint .* each: .* parameters'
check "nothing is written" same "$(trace)" ""
try "$program" train "${data[@]}" train.epoch=3 --dry-run
check "a wrong setting is refused as ever" same "$code $(grep -c 'did you mean train.epochs' err)" "2 1"
try "$program" train data.source=idx data.dir=nowhere --dry-run
check "so is missing data" same "$code" 3
"$program" train "${data[@]}" train.epochs=1 --out run --progress none >/dev/null 2>&1
try "$program" train "${data[@]}" --out run --dry-run
check "and a folder that holds a run" same "$code $(grep -c -- '--resume' err)" "2 1"
before_resume=$(cd run && find . -type f -exec sha256sum {} + | sort)
try "$program" resume run train.epochs=4 --dry-run
check "a run to go on with is looked at" matches out '^resumed +from step 5'
check "and stays as it is" same "$(cd run && find . -type f -exec sha256sum {} + | sort)" "$before_resume"
try "$program" resume run model.latent=3 --dry-run
check "what cannot be resumed is refused" same "$code $(grep -c 'model.latent' err)" "2 1"

# --- A sweep -----------------------------------------------------------------------------------------------------------------
printf '[train]\nepochs = 2\n[sweep]\nobjective.kl_wt = 1e-3, 1e-2, 1e-1\nmodel.latent = 2, 3\nrows_per_pack = 2\n' >s.cfg
try "$launcher" -n 2 sweep s.cfg "${data[@]}" --out swept --dry-run
check "a sweep's dry run is done" same "$code" 0
check "groups and packs" matches out '^plan +6 trials, packs of 2 rows, 2 groups of 1 rank'
check "by shape" same "$(grep -c '3 trials like .*: 2 packs, ' out)" 2
check "time" matches out '^time +about '
check "folders" matches out 'trials/: 6 folders'
check "nothing is written" same "$(trace)" ""
try "$program" sweep s.cfg "${data[@]}" sweep.rows_per_pack=auto train.epochs=1 --dry-run
check "the size of a pack can be measured" matches out '^plan +6 trials, packs of [0-9]+ rows? \(measured\), 1 group of 1 rank'
finish
