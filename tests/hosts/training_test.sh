#!/usr/bin/env bash
# A run on four hosts: it has the bits of one process, whatever the hosts lose on the way. A launcher's daemon is killed, a
# link is cut for a while and for ever, a rank of another host is killed.    training_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/hosts.sh" "$@"
source "$repository/tests/support/disturbed_runs.sh"
[[ -n $ELBOW_OPEN_MPI ]] && ((${ELBOW_OPEN_MPI%%.*} >= 5)) || { echo "skipped: written for Open MPI 5" && exit 77; }
make_hosts 4 || { echo "the hosts cannot be made" && exit 1; }
links 1ms 0.1% 1gbit 1ms
disturbed_recipe 200
recipe+=(train.epochs=4)
four=(--host host1,host2,host3,host4)
train() { start on host1 "$launcher" "$@" train "${recipe[@]}" "${saves[@]}" --resume auto --out "$folder/$run"; }
# ended CODE   the launch that goes on now, within a minute, with everything that it started.
ended() {
  within 60 gone "$process" || { echo "it hangs" && kill -KILL "$process"; }
  exit_code_of "$process"
  [[ $code == "$1" ]] || { echo "it ended with $code" && cat stdout stderr; }
  [[ $code == "$1" ]]
}
# How many pieces of memory the ranks of a run share for their sums.
shared_memory() { cat $(ranks_of "$folder/$1" | sed 's|.*|/proc/&/maps|') 2>/dev/null | grep -c '/dev/shm/elbow-[0-9]*-[0-9a-f]'; }
since=$SECONDS
took() { echo "        $((SECONDS - since)) s"; since=$SECONDS; }

"$program" train "${recipe[@]}" --out whole >out 2>&1
check "the undisturbed run ends" same $? 0

# --- Nothing is lost -------------------------------------------------------------------------------------------------------
took
run=healthy
train "${four[@]}"
within 30 passed $run 1
shared=$(shared_memory $run)
check "four hosts train" ended 0
check "each with a rank" same "$(value $run/manifest.json ranks | grep -o 'host[1-4]' | xargs)" "host1 host2 host3 host4"
check "that share no memory" same "$shared" 0
check "to the bits of one process" is_undisturbed $run
check "and were told what a lost host means" matches stdout '^if lost  *a lost rank or host ends the run'

took
run=elsewhere
train --host host2:4
within 30 passed $run 1
check "ranks of one host share memory" differ "$(shared_memory $run)" 0
check "a launch from a host without ranks ends" ended 0
check "with the same bits" is_undisturbed $run
check "and leaves nothing but its run" same "$(find . -name '.elbow-*')$(find "$TMPDIR" -name 'elbow-*')" ""

# --- A daemon, a link -------------------------------------------------------------------------------------------------------
# Where its connection stays open, mpirun learns only that something has ended somewhere.
for run in daemon unheard; do
  took
  train "${four[@]}"
  within 30 passed $run 60
  [[ $run == daemon ]] || cut_link host3
  kill -KILL $(daemons_of host3)
  check "$run: a launcher's daemon that dies ends the run, resumable" ended 75
  check "$run: and its host is named" matches stderr 'host3'
  mend_link host3
  check "$run: no rank is left" within 10 none_left "$folder/$run"
  train --host host1:2,host2:2
  check "$run: it goes on with two hosts" ended 0
  check "$run: to the same bits" is_undisturbed $run
done

took
run=pause
train "${four[@]}"
within 30 passed $run 60
cut_link host2
sleep 3  # how long the link is away
check "a link that is cut holds the run" test ! -e $run/result.json
mend_link host2
check "which goes on when the link is back" ended 0
check "to the same bits" is_undisturbed $run

took
run=cut
ELBOW_LINK_TIMEOUT=4 train "${four[@]}"
within 30 passed $run 60
cut_link host4
check "a link that stays cut ends the run, resumable" ended 75
check "and its host is named" matches stderr 'host4'
mend_link host4
check "the ranks behind it end too" within 60 none_left "$folder/$run"
train --host host1:2,host2:2
check "it goes on without that host" ended 0
check "to the same bits" is_undisturbed $run

# --- Healing, which is asked for --------------------------------------------------------------------------------------------
took
run=healed
train --heal "${four[@]}"
within 30 passed $run 60
kill -KILL "$(rank_of $run 2)"
check "with --heal the others take over a lost rank's work" ended 0
check "which is named" matches $run/result.json 'rank 2 on host3 was lost'
check "to the same bits" is_undisturbed $run
finish
