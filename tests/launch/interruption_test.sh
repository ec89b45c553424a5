#!/usr/bin/env bash
# A run that is told to stop, or loses a part of itself, in mid-epoch: it ends within seconds, says how, keeps what it has,
# and leaves nothing behind.    interruption_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 5000 100
limit=20  # seconds for what takes a moment on an idle machine

# Epochs without end; a step takes milliseconds.
endless=(train "$repository/configs/kl_vae.cfg" data.source=idx data.dir=digits train.epochs=1000000 train.batch_size=50
  train.threads=1 model.encoder=64 model.decoder=64)
lines_of() { wc -l <"$1/metrics.jsonl"; }
has_lines() { [[ -e $1/metrics.jsonl ]] && (($(lines_of "$1") >= $2)); }
# Whole lines only, two an epoch, and as many as result.json says.
metrics_kept() {
  local epochs
  epochs=$(value "$1/result.json" epochs_done) && same "$(lines_of "$1")" "$((2 * epochs))" &&
    [[ $(tail -c 2 "$1/metrics.jsonl") == *"}" ]]
}
in_mid_epoch() {
  local steps
  steps=$(value "$1/result.json" steps_done) && test $((steps % 100)) -gt 0
}
ranks_of() { own_processes "train .*--out $1\$"; }  # RUN
none_left() { [[ -z $(ranks_of "$1") ]]; }
readable() { "$python" -c "import sys; from safetensors.numpy import load_file; assert len(load_file(sys.argv[1])) == 10" "$1"; }

# is_interrupted RUN CODE   what every interrupted run leaves
is_interrupted() {
  check "$1: ends with 75" same "$2" 75
  check "$1: result.json says interrupted, 75" same \
    "$(value "$1/result.json" status) $(value "$1/result.json" exit_code)" "interrupted 75"
  check "$1: in mid-epoch" in_mid_epoch "$1"
  check "$1: metrics are kept" metrics_kept "$1"
  check "$1: the weights are there" readable "$1/$(value "$1/result.json" weights)"
  check "$1: and are those of its last step" same \
    "$(newest_of "$1")" "$1/checkpoints/step_$(printf %09d "$(value "$1/result.json" steps_done)")"
  check "$1: whose position is in mid-epoch" same \
    "$(value "$(newest_of "$1")/state.json" batch)" "$(($(value "$1/result.json" steps_done) % 100))"
}

# interrupt RUN SIGNAL COMMAND...   starts a run, sends the signal after its first epoch, checks what follows
interrupt() {
  local run=$1 signal=$2
  shift 2
  start "$@" "${endless[@]}" --out "$run"
  check "$run: an epoch is done" within $limit has_lines "$run" 2
  kill "-$signal" "$process"
  check "$run: ends soon" within $limit gone "$process"
  exit_code_of "$process"
  is_interrupted "$run" "$code"
}

for signal in USR2 USR1 TERM INT; do
  interrupt "program-$signal" $signal "$program"
done
interrupt launcher-INT INT "$launcher"
for signal in USR2 INT TERM; do
  interrupt "launcher-n2-$signal" $signal "$launcher" -n 2
done
interrupt mpirun-n2-USR2 USR2 "${mpirun[@]}" -np 2 "$program"

# Two processes, one folder: the second waits some seconds for the first, and is refused.
start "$launcher" -n 2 "${endless[@]}" --out shared
check "shared: an epoch is done" within $limit has_lines shared 2
since=$SECONDS
"$launcher" -n 2 "${endless[@]}" --out shared --resume auto >out 2>err
check "shared: a second process is refused" same "$?" 2
check "shared: in one sentence" one_sentence err
check "shared: that names the first" matches err "shared is being written by process [0-9]+ on "
check "shared: after a wait of ten seconds ($((SECONDS - since)) s)" test $((SECONDS - since)) -ge 9
(sleep 3 && kill -KILL $(ranks_of shared)) &
"$launcher" -n 2 resume shared train.max_time=0.001 >out 2>err
check "shared: one whose owner is killed meanwhile goes on" same "$?" 75

# A second signal does not wait for the end of the step, which takes half a minute here.
slow=(train "$repository/configs/kl_vae.cfg" data.source=idx data.dir=digits train.batch_size=5000 train.threads=1
  model.encoder=2500,2500,2500,2500,2500 model.decoder=2500,2500)
insist() {  # SIGNAL: until it helps
  kill "-$1" "$process" 2>/dev/null
  gone "$process"
}
hurry() {  # RUN COMMAND...
  local run=$1 since
  shift
  start "$@" "${slow[@]}" --out "$run"
  check "$run: the first step has begun" within 40 test -e "$run/metrics.jsonl"
  since=$SECONDS
  check "$run: a second signal ends it" within $limit insist TERM
  exit_code_of "$process"
  check "$run: with 75" same "$code" 75
  check "$run: at once, after $((SECONDS - since)) s" test $((SECONDS - since)) -lt 8
  check "$run: so that no result is there" fails test -e "$run/result.json"
}
hurry second-signal "$program"
hurry second-signal-n2 "$launcher" -n 2

check "no rank of all these runs is left" within 3 none_left ".*"

# Killed launcher: no rank stays.
start "${mpirun[@]}" -np 2 "$program" "${endless[@]}" --out killed-mpirun
check "killed mpirun: an epoch is done" within $limit has_lines killed-mpirun 2
check "killed mpirun: two ranks are there" same "$(ranks_of killed-mpirun | wc -l)" 2
kill -KILL "$process"
since=$(date +%s%N)
check "killed mpirun: its ranks end" within $limit none_left killed-mpirun
took=$((($(date +%s%N) - since) / 1000000))
check "killed mpirun: within two seconds ($took ms)" test $took -lt 2000

# Killed rank: the others say so and go on, until they are asked to stop. Needs ULFM.
if [[ $ELBOW_OPEN_MPI == 5* ]]; then
  for victim in 0 2; do
    run=lost-rank-$victim
    start "$launcher" -n 3 "${endless[@]}" --out $run
    check "$run: an epoch is done" within $limit has_lines $run 2
    for rank in $(ranks_of $run); do
      is_rank "$rank" "$victim" && kill -KILL "$rank"
    done
    check "$run: the others go on" within $limit grep -qE "rank $victim on .* was lost .* 2 ranks go on" stdout stderr
    kill -USR2 "$process"
    check "$run: ends when asked" within $limit gone "$process"
    exit_code_of "$process"
    check "$run: not finished, but resumable" same "$code" 75
    check "$run: result.json says interrupted, 75" same "$(value $run/result.json status) $(value $run/result.json exit_code)" "interrupted 75"
    check "$run: and who was lost" matches $run/result.json "rank $victim on .* was lost"
    "$launcher" -n 2 resume $run train.max_time=0.001 >out 2>err
    check "$run: goes on with elbow resume" same $? 75
  done
else
  echo "skipped lost ranks: Open MPI ${ELBOW_OPEN_MPI:-of another kind} has no ULFM"
fi
finish
