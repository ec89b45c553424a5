#!/usr/bin/env bash
# Four hosts train, and sweep; a link is cut for 20 s and for ever, a host goes dark, with healing and without. Whatever happens
# is named, and the run goes on or ends resumable; one part of the group writes it; nothing is lost.
#   lost_hosts_slow_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/hosts.sh" "$@"
source "$repository/tests/support/disturbed_runs.sh"
[[ -n $ELBOW_OPEN_MPI ]] && ((${ELBOW_OPEN_MPI%%.*} >= 5)) || { echo "skipped: written for Open MPI 5" && exit 77; }
make_hosts 4 || { echo "the hosts cannot be made" && exit 1; }
disturbed_recipe 200
recipe+=(train.epochs=6)
four=(--host host1,host2,host3,host4)
train() { start on host1 "$launcher" "$@" train "${recipe[@]}" "${saves[@]}" --resume auto --out "$folder/$run"; }
# begin RUN OPTION...   a run on four hosts that has come some way.
begin() {
  run=$1
  train "${@:2}" "${four[@]}"
  within 60 passed "$run" 60
}
# ended CODES   the launch that goes on now, within two minutes, with one of them.
ended() {
  local since=$SECONDS
  within 120 gone "$process" || { echo "it hangs" && kill -KILL "$process"; }
  exit_code_of "$process"
  echo "        $((SECONDS - since)) s, exit $code: $(grep -a 'were lost\|was lost\|lost communication' stderr | tail -n 1 | cut -c1-200)"
  [[ " $1 " == *" $code "* ]] || { cat stdout stderr && return 1; }
}
owner_of() { cut -d' ' -f1,2 "$1/run.lock"; }  # the epoch of its lock, and the host

"$program" train "${recipe[@]}" --out whole >out 2>&1
check "the undisturbed run ends" same $? 0

# --- A bad network -----------------------------------------------------------------------------------------------------------
links 20ms 1% 100mbit 3ms
begin far
check "a run over far and lossy links ends" ended 0
check "which have lost frames" test "$(frames_lost)" -gt 0
check "to the same bits" is_undisturbed $run
links 1ms 0.1% 1gbit 1ms

# --- Without healing -------------------------------------------------------------------------------------------------------
begin pause
cut_link host3
sleep 20  # how long the link is away
check "20 s without a link hold the run" test ! -e $run/result.json
mend_link host3
check "which then goes on" ended 0
check "to the same bits" is_undisturbed $run

begin cut
cut_link host3
check "a link that stays cut ends the run, resumable" ended 75
check "its host is named" matches stderr 'host3'
mend_link host3
check "the ranks behind it end" within 60 none_left "$folder/$run"
train --host host1:2,host2
check "it goes on elsewhere" ended 0
check "to the same bits" is_undisturbed $run

begin dark
lose host2
check "a host that goes dark ends the run, resumable" ended 75
train --host host1,host3,host4
check "it goes on without that host" ended 0
check "to the same bits" is_undisturbed $run
restart host2

# --- With healing ------------------------------------------------------------------------------------------------------------
export ELBOW_LINK_TIMEOUT=60
begin healed_pause --heal-hosts
cut_link host3
sleep 20
mend_link host3
check "a link that comes back in time costs nobody" ended 0
check "and nothing is healed" same "$(value $run/result.json healed)" "[]"
check "to the same bits" is_undisturbed $run

export ELBOW_LINK_TIMEOUT=5
begin healed_cut --heal-hosts
cut_link host4
check "the others go on without a host that does not answer" ended 0
check "which is named" matches $run/result.json 'rank 3 on host4 was lost'
check "the ranks behind the link end" within 60 none_left "$folder/$run"
check "and have written nothing" same "$(owner_of $run)" "1 host1"
check "to the same bits" is_undisturbed $run
mend_link host4

begin healed_late --heal-hosts
cut_link host4
sleep 8  # longer than the others wait
mend_link host4
check "a link that comes back too late may cost more ranks" ended "0 75"
check "those that were cut off end" within 60 none_left "$folder/$run"
train --host host1:2,host2
check "whatever was left to do is done" ended 0
check "to the same bits" is_undisturbed $run

begin healed_first --heal-hosts
cut_link host1
check "the first rank goes on where all others do not answer" ended 0
check "these end" within 60 none_left "$folder/$run"
check "and have written nothing" same "$(owner_of $run)" "1 host1"
check "to the same bits" is_undisturbed $run
mend_link host1

four=(--host host2,host3,host4)  # rank 0 is not where the launcher is
begin healed_dark --heal-hosts
lose host2
check "a host that goes dark with the first rank is healed" ended 0
check "by the next rank" matches $run/result.json 'rank 0 on host2 was lost.*rank 1 writes the run from here'
check "which owns the run" same "$(owner_of $run)" "2 host3"
check "to the same bits" is_undisturbed $run
restart host2

begin healed_half --heal-hosts
cut_link host2
check "cut off from the launcher, the first rank ends the run alone" ended 0
check "the others end" within 60 none_left "$folder/$run"
check "and have written nothing" same "$(owner_of $run)" "1 host2"
check "to the same bits" is_undisturbed $run
mend_link host2

export ELBOW_LINK_TIMEOUT=3
run=busy
start on host1 "$launcher" --heal-hosts --host host1,host2 train "$repository/configs/kl_vae.cfg" data.source=idx \
  data.dir="$folder/digits" model.encoder=512 model.decoder=512 objective.kind=iwae objective.samples=400 \
  train.batch_size=1500 train.steps=2 train.threads=1 --progress none --out $run
check "ranks that compute for longer than others would wait for a host are not taken for dead" ended 0
check "a step was that long" test "$(grep -o '"seconds":[0-9]*' $run/metrics.jsonl | head -n 1 | tr -dc 0-9)" -gt 3

# --- A sweep -----------------------------------------------------------------------------------------------------------------
four=(--host host1,host2,host3,host4)
trials=12
sweep=("$repository/configs/kl_vae.cfg" data.source=idx data.dir="$folder/digits" model.encoder=64 model.decoder=64
  train.batch_size=32 train.leaves=4 train.shuffle=true train.epochs=4 optimizer.kind=adam train.reproducible=exact
  train.threads=1 checkpoint.every_steps=10 checkpoint.keep_last=2 sweep.objective.kl_wt="logspace(1e-4, 1e-1, $trials)"
  sweep.rows_per_pack=1 --progress plain)
sweep() { start on host1 "$launcher" "$@" sweep "${sweep[@]}" --resume auto --out "$folder/$run"; }
ranks_of() { own_processes "(train|sweep) .*--out $1\$"; }
trials_ended() { (($(find "$1/trials" -name result.json 2>/dev/null | wc -l) >= $2)); }
same_trials() {
  local trial
  for ((trial = 0; trial < trials; ++trial)); do
    trial=$(printf %06d $trial)
    [[ $(weights_of "$1/trials/$trial") == "$(weights_of "whole_sweep/trials/$trial")" ]] || { echo "trial $trial differs" && return 1; }
    trial=$((10#$trial))
  done
  [[ $(value "$1/result.json" complete) == "$trials" ]]
}
"$program" sweep "${sweep[@]}" --out whole_sweep >out 2>&1
check "the undisturbed sweep ends" same $? 0
begin_sweep() {
  run=$1
  sweep "${@:2}" "${four[@]}"
  within 60 trials_ended "$run" 2
}

unset ELBOW_LINK_TIMEOUT
begin_sweep sweep_pause
cut_link host3
sleep 20
mend_link host3
check "a sweep goes on after 20 s without a link" ended 0
check "with the same bits in all trials" same_trials $run

begin_sweep sweep_daemon
kill -KILL $(daemons_of host4)
check "a launcher's daemon that dies ends a sweep, resumable" ended 75
check "with all its ranks" within 60 none_left "$folder/$run"
sweep --host host1:2,host2
check "it goes on" ended 0
check "with the same bits in all trials" same_trials $run

export ELBOW_LINK_TIMEOUT=5
begin_sweep sweep_cut
cut_link host2
check "a link that stays cut ends a sweep, resumable" ended 75
mend_link host2
check "with all its ranks" within 60 none_left "$folder/$run"
sweep "${four[@]}"
check "it goes on" ended 0
check "with the same bits in all trials" same_trials $run

begin_sweep sweep_healed --heal-hosts
cut_link host4
check "with --heal-hosts the trials of a host that does not answer go on elsewhere" ended 0
check "with the same bits in all trials" same_trials $run
check "and its ranks end" within 60 none_left "$folder/$run"
finish
