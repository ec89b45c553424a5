#!/usr/bin/env bash
# Whatever can happen to a run, drawn at random: some of its ranks or all are killed, one is frozen, it is interrupted, its disk
# is full, a file of its newest checkpoint is damaged; and it is resumed on another number of ranks until it is complete. It
# then has the bits of a run that nobody disturbed.    runs_test.sh PROGRAM LAUNCHER
# ELBOW_CHAOS_RUNS   how many runs (3)
# ELBOW_CHAOS_SEED   what happens in the first of them (1), one more in the next: the seed of a run that failed repeats it
source "$(dirname "$0")/../support/shell.sh" "$@"
source "$repository/tests/support/disturbed_runs.sh"
runs=${ELBOW_CHAOS_RUNS:-3}
first=${ELBOW_CHAOS_SEED:-1}
most=4  # incidents of a run
disturbed_recipe 200
recipe+=(train.epochs=6 train.hang_timeout=2)
last_step=$((6 * steps_per_epoch))
incidents=(kill-some kill-some kill-all freeze interrupt damage)
mkdir disk
if mount -t tmpfs -o size=12m tmpfs disk 2>/dev/null; then
  trap 'umount "$folder/disk"; leave' EXIT
  incidents+=(full-disk)
fi

"$program" train "${recipe[@]}" --out whole >out 2>&1
check "the undisturbed run ends" same $? 0

draw() { drawn=$((RANDOM * $1 / 32768)); }  # sets `drawn`, below $1
is_over() { [[ -e $1/result.json && $(value "$1/result.json" status) == complete ]]; }

# disturb INCIDENT RUN   to the launch that goes on now as `process`
disturb() {
  local ranks signals=(USR2 TERM INT) rank
  mapfile -t ranks < <(ranks_of "$2")
  ((${#ranks[@]} > 0)) || return
  case $1 in
    kill-some)
      draw ${#ranks[@]}
      for rank in $(shuf -i 0-$((${#ranks[@]} - 1)) -n $((drawn + 1)) --random-source=<(yes "$drawn")); do
        kill -KILL "${ranks[$rank]}" 2>/dev/null
      done ;;
    kill-all) kill -KILL "${ranks[@]}" 2>/dev/null ;;
    freeze)  # a rank without peers has no guard
      draw ${#ranks[@]}
      ((${#ranks[@]} > 1)) && kill -STOP "${ranks[$drawn]}" 2>/dev/null ;;
    interrupt)
      draw 3
      kill "-${signals[$drawn]}" "$process" 2>/dev/null ;;
    full-disk) head -c 20000000 /dev/zero >disk/ballast 2>/dev/null ;;
  esac
}

# damage RUN   a byte of its newest checkpoint, while nobody writes it: once, so that a good one is left
damage() {
  local files file byte
  (($(find "$1/checkpoints" -maxdepth 1 -name 'step_*' 2>/dev/null | wc -l) > 1)) || return
  damaged=1
  files=("$(newest_of "$1")"/*)
  draw ${#files[@]}
  file=${files[$drawn]}
  [[ -s $file ]] || return
  draw "$(stat -c %s "$file")"
  byte=$((16#$(od -An -tx1 -j "$drawn" -N 1 "$file" | tr -d ' ') ^ 4))
  printf "\\x$(printf %02x $byte)" | dd of="$file" bs=1 seek="$drawn" conv=notrunc status=none
}

for ((seed = first; seed < first + runs; ++seed)); do
  RANDOM=$seed
  rm -rf disk/*
  run=disk/run story='' damaged=0
  for ((launch = 1; launch <= 3 * most; ++launch)); do
    is_over $run && break
    draw 4 && size=$((drawn + 1))
    draw ${#incidents[@]} && incident=${incidents[$drawn]}
    ((launch <= most)) || incident=none
    saved=$(saved_step $run)
    draw $((last_step - saved)) && step=$((saved + drawn))
    [[ $incident == damage ]] && ((damaged == 0)) && damage $run
    rm -f $run/result.json
    start "$launcher" -n "$size" train "${recipe[@]}" "${saves[@]}" --resume auto --out "$folder/$run"
    within 60 eval "passed $run $step || gone $process"
    disturb "$incident" "$folder/$run"
    within 120 gone "$process" || { echo "it hangs" && kill -KILL "$process"; }
    exit_code_of "$process"
    story+=" $incident@$step/np$size=$code"
    rm -f disk/ballast
    within 20 none_left "$folder/$run"
  done
  check "seed $seed: the run is complete after$story" is_over $run
  check "seed $seed: and has the undisturbed run's weights and metrics" is_undisturbed $run
  check "seed $seed: nothing of killed writers is left" same "$(leftovers_of $run)" ""
  ((failures == 0)) || { echo "ELBOW_CHAOS_SEED=$seed ELBOW_CHAOS_RUNS=1 repeats it" && cat stdout stderr && break; }
done
finish
