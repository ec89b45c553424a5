#!/usr/bin/env bash
# A run that ended early goes on to the bits of one that did not: from any place, on any number of ranks; and what must not be
# gone on with is refused.    resume_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 1500 200  # with 300 for validation 19 steps an epoch of 64; the last has 48 examples

recipe=("$repository/configs/kl_vae.cfg" data.source=idx data.dir="$folder/digits" data.validation=300 data.binarise=stochastic
  model.encoder=32 model.decoder=32 train.batch_size=64 train.leaves=4 train.shuffle=true train.epochs=5 objective.l2=1e-4
  objective.anneal=linear objective.anneal_steps=50 optimizer.kind=adam optimizer.lr=1e-2 train.reproducible=exact
  train.threads=1 --progress plain)
often=(checkpoint.every_steps=1 checkpoint.keep_last=1000)
steps=95

"$launcher" -n 2 train "${recipe[@]}" "${often[@]}" --out whole >whole.out 2>&1
check "the undisturbed run ends" same $? 0
check "after $steps steps" same "$(value whole/result.json steps_done)" $steps
wanted=$(weights_of whole)
numbers_of() { "$python" -c '
import json, sys
result = json.load(open(sys.argv[1]))
def timeless(value):
    return {k: timeless(v) for k, v in value.items() if k not in ("seconds", "examples_per_s")} if isinstance(value, dict) else value
print(json.dumps(timeless(result)))' "$1/result.json"; }
is_whole() {  # WHAT RUN
  check "$1: the weights are those of the undisturbed run" same "$(weights_of "$2")" "$wanted"
  check "$1: and its metrics, line for line" same "$(metrics_of "$2")" "$(metrics_of whole)"
  check "$1: and its result" same "$(numbers_of "$2")" "$(numbers_of whole)"
}

# killed_after RUN STEP   what `whole` was when it was killed some time after it had saved that step.
killed_after() {
  local entry
  rm -rf "$1" && cp -r whole "$1" && rm "$1/result.json"
  for entry in "$1"/checkpoints/step_*; do
    ((10#${entry##*_} <= $2)) || rm -r "$entry"
  done
}
best=$(value whole/result.json best step)
# saved_before STEP   the last step below it that was saved: where the disk is slow, some are left out.
saved_before() {
  local entry last=0
  for entry in whole/checkpoints/step_*; do
    ((10#${entry##*_} < $1)) && last=$((10#${entry##*_}))
  done
  echo $last
}
check "it was saved within its first epoch, at step $(saved_before 19)" test "$(saved_before 19)" -gt 0
for place in "$(saved_before 19) mid-first-epoch,-annealing" "19 the-end-of-the-first-epoch" "$(saved_before 38) mid-epoch,-annealing" \
  "$best right-after-best" "$(saved_before 76) after-annealing" "$(saved_before 95) almost-the-end" "95 the-end-without-result.json"; do
  for ranks in 1 4; do
    killed_after again "${place%% *}"
    "$launcher" -n $ranks resume again >again.out 2>again.err
    check "from step ${place/ /, } on $ranks ranks" same $? 0
    is_whole "from ${place#* }" again
  done
done

# --- Interrupted by signals, on 3, 1 and 4 ranks ---------------------------------------------------------------------------
"$launcher" -n 3 train "${recipe[@]}" train.max_time=0.001 --out moved >moved.out 2>moved.err
check "a run whose time is up at once ends with 75" same $? 75
check "after its first step" same "$(value moved/result.json steps_done)" 1
check "and says why" same "$(value moved/result.json interrupted_by)" train.max_time
SLURM_JOB_END_TIME=$(($(date +%s) + 30)) "$launcher" -n 1 resume moved train.max_time=none >moved.out 2>moved.err
check "so does one within a minute of the end of its Slurm job" same $? 75
check "a step later" same "$(value moved/result.json steps_done)" 2
check "and says why" same "$(value moved/result.json interrupted_by)" "the end of the Slurm job"
check "the summary says how to go on" contains moved.out "launch/elbow resume moved"
"$launcher" -n 4 resume moved >moved.out 2>moved.err
check "on four ranks it ends" same $? 0
is_whole "3, 1 and 4 ranks" moved

# --- What is refused -----------------------------------------------------------------------------------------------------
"$launcher" train "${recipe[@]}" --resume auto --out whole >out 2>err
check "auto on a complete run is success" same $? 0
check "at once" contains out "is complete"
check "and keeps it" same "$(weights_of whole)" "$wanted"
before=$(find whole -type f ! -name run.lock -exec sha256sum {} + | sort)
refused() {  # CODE WORD COMMAND...
  local want=$1 word=$2
  shift 2
  "$@" >out 2>err
  check "$word: is refused" same $? "$want"
  check "$word: in one sentence" one_sentence err
  check "$word: that names it" contains err "$word"
}
refused 2 objective.kl_wt "$launcher" resume whole objective.kl_wt=1e-2
refused 2 train.batch_size "$launcher" -n 2 resume whole train.batch_size=32
refused 2 train.reproducible "$launcher" train "${recipe[@]}" train.reproducible=fast --out whole --resume must
cp -r digits other && printf '\1' | dd of=other/train-images-idx3-ubyte bs=1 seek=4711 conv=notrunc status=none
refused 2 "SHA-256" "$launcher" resume whole data.dir=other
check "what is refused changes nothing" same "$(find whole -type f ! -name run.lock -exec sha256sum {} + | sort)" "$before"
# --- Damage ----------------------------------------------------------------------------------------------------------------
bad=$(saved_before 60) good=$(saved_before "$(saved_before 60)")
killed_after again "$bad"
printf '\1' | dd of="$(newest_of again)/optimizer.safetensors" bs=1 seek=1000 conv=notrunc status=none
mkdir again/checkpoints/.tmp_step_000000061.4711.1
"$launcher" -n 2 resume again >again.out 2>again.err
check "a damaged checkpoint is passed over" same $? 0
check "in one sentence" one_sentence again.err
check "that names the bad file" contains again.err "step_$(printf %09d "$bad") is damaged: optimizer.safetensors"
check "and the one taken instead" matches again.err "going back to .*step_$(printf %09d "$good")"
check "which is told" contains again.out "from step $good"
is_whole "after damage" again
check "what a killed writer left is gone" fails test -e again/checkpoints/.tmp_step_000000061.4711.1
killed_after again 19
for entry in again/checkpoints/step_*; do : >"$entry/model.safetensors"; done
refused 4 "step_000000019 is damaged: model.safetensors" "$launcher" -n 2 resume again
rm -r again/checkpoints
"$launcher" -n 2 resume again >again.out 2>again.err
check "without any checkpoint it begins anew" same $? 0
check "and says so" contains again.out "from the start"
is_whole "anew" again
# --- What may change ------------------------------------------------------------------------------------------------------
mv digits elsewhere
"$launcher" -n 2 resume whole train.epochs=6 train.threads=2 log.every_steps=7 data.dir=elsewhere >out 2>err
check "more epochs, other threads and another place of the data are not" same $? 0
check "and the run goes on" same "$(value whole/result.json epochs_done)" 6
finish
