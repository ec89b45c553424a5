#!/usr/bin/env bash
# launch/elbow's contract, tried with a stand-in for the program: which code it returns, what it does with signals, and that
# it starts ranks from any folder.    launcher_test.sh PROGRAM LAUNCHER
set -uo pipefail
program=$1
launcher=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

# The stand-in: its first word says what it does. As in the program rank 0 announces its run, in one piece, and none goes on
# before it has; mpirun may start a rank when another has already ended the job, and the launcher is gone.
cat >"$folder/elbow" <<'PROGRAM'
#!/usr/bin/env bash
run=$2
announce() {
  mkdir -p "$run"
  if [[ ${OMPI_COMM_WORLD_RANK:-0} == 0 ]]; then
    echo "$PWD/$run/result.json" >"$ELBOW_RESULT_FILE.new" && mv "$ELBOW_RESULT_FILE.new" "$ELBOW_RESULT_FILE"
  else
    while [[ -e $ELBOW_RESULT_FILE && ! -s $ELBOW_RESULT_FILE ]]; do sleep 0.02; done
  fi
}
finish() { printf '{\n  "status": "%s",\n  "exit_code": %s,\n  "error": null\n}\n' "$1" "$2" >"$run/result.json"; }
case $1 in
  no-run) exit "$2" ;;
  sweep) exit 0 ;;
  train) announce && exit 0 ;;
  ends) announce && finish "$3" "$4" && exit "$5" ;;
  loses-result) announce && exit "$3" ;;
  rank) echo "rank ${OMPI_COMM_WORLD_RANK:-none}" ;;
  waits)
    announce
    trap 'finish interrupted 75; exit 0' USR2
    : >"$run/ready"
    while true; do read -r -t 1 <> <(:); done
    ;;
esac
PROGRAM
chmod +x "$folder/elbow"
cp "$(dirname "$program")/launch.env" "$folder/launch.env"
export ELBOW_PROGRAM=$folder/elbow
export TMPDIR=$folder/temporary
mkdir "$TMPDIR"
cd "$folder" || exit 1

expect() {
  local what=$1 wanted=$2 got=$3
  if [[ $got == "$wanted" ]]; then
    echo "ok      $what"
  else
    echo "FAILED  $what: wanted '$wanted', got '$got'"
    failures=$((failures + 1))
  fi
}
code_of() {
  "$launcher" "$@" >"$folder/stdout" 2>"$folder/stderr"
  echo $?
}

expect "a verb without a run keeps its code" 2 "$(code_of no-run 2)"
expect "a complete run is 0" 0 "$(code_of ends a complete 0 0)"
expect "a complete run is 0 even if mpirun complained afterwards" 0 "$(code_of ends b complete 0 9)"
expect "an interrupted run is 75 even if the program returned 0" 75 "$(code_of ends c interrupted 75 0)"
expect "a preempted run is 75" 75 "$(code_of ends d preempted 75 0)"
expect "a failed run has the code that it wrote" 3 "$(code_of ends e failed 3 0)"
expect "a run without a result is not done, although the program returned 0" 1 "$(code_of loses-result f 0)"
expect "and the sentence names the file" 1 "$(grep -c "$folder/f/result.json" "$folder/stderr")"
expect "a usage error after the folder was made stays 2" 2 "$(code_of loses-result g 2)"
expect "a program killed by a signal is 1" "1 1" "$(code_of loses-result h 137) $(code_of no-run 139)"

mkdir -p "$folder/m/checkpoints/step_000000001" "$folder/n/checkpoints/step_000000001"
expect "but 75 where the run has a checkpoint" 75 "$(code_of loses-result m 137)"
expect "and the sentence says how to go on" 1 "$(grep -c "elbow resume $folder/m" "$folder/stderr")"
expect "an error of its own stays 1" 1 "$(code_of loses-result n 1)"

for words in "-n" "-n 0" "-n x" "-n -1"; do
  # shellcheck disable=SC2086
  expect "'$words' is a usage error" 2 "$(code_of $words rank)"
done
for words in "--host -x" "--host :2" "--hostfile" "--hostfile /nowhere"; do
  # shellcheck disable=SC2086
  expect "'$words' is a usage error" 2 "$(code_of $words rank)"
done
expect "a missing program is one sentence" "1 1" \
  "$(ELBOW_PROGRAM=/nowhere/elbow code_of rank) $(grep -c '^elbow: ' "$folder/stderr")"

expect "-n 3 starts three ranks, more than this machine may have cores" 0 "$(code_of -n 3 rank)"
expect "ranks that end without a word before their run has a folder are 75, although mpirun returned 0" 75 "$(code_of -n 2 sweep x.cfg)"
expect "unless they were asked for help" 0 "$(code_of -n 2 sweep --help)"
expect "ranks are ranks" 0 "$(code_of -n 3 rank)"
expect "and each is a rank" "rank 0 rank 1 rank 2" "$(sort "$folder/stdout" | xargs)"
echo "$(uname -n) slots=2" >"$folder/hostfile"
expect "--hostfile starts as many as its hosts have places" 0 "$(code_of --hostfile hostfile rank)"
expect "and each is a rank" "rank 0 rank 1" "$(sort "$folder/stdout" | xargs)"
expect "ranks whose run has no result are 75, although mpirun returned 0, as it does where it loses a host" 75 \
  "$(code_of -n 2 train o)"
expect "and the sentence says how to go on" 1 "$(grep -c "elbow resume $folder/o" "$folder/stderr")"
expect "ranks that end with 1 and no result are 75 where the run has a checkpoint, as mpirun does where it loses a daemon" 75 \
  "$(code_of -n 2 loses-result n 1)"
expect "and 1 where it has none" 1 "$(code_of -n 2 loses-result r 1)"
two=(--host "$(uname -n):1,localhost:1")  # names of one host
expect "of several hosts too, where no guard has said which one was lost" "75 0" \
  "$(code_of "${two[@]}" loses-result n 1) $(grep -c "hangs.txt" "$folder/stderr")"
echo "rank 1 on elsewhere has ended with the launcher of its host" >n/hangs.txt
touch -d '1 hour ago' n/hangs.txt
expect "and what a guard said of an earlier launch is not told again" "75 0" \
  "$(code_of "${two[@]}" loses-result n 1) $(grep -c "elsewhere" "$folder/stderr")"
mkdir "$folder/elsewhere" && ln -s "$launcher" "$folder/elsewhere/link"
expect "a link from another folder works" "rank none" "$(cd elsewhere && ./link rank)"

# Starts a run in the background, sets `launched`, and returns when it is under way.
start_waiting() {
  local run=$1
  shift
  "$launcher" "$@" waits "$run" &
  launched=$!
  for _ in $(seq 600); do
    [[ -e $run/ready ]] && break
    sleep 0.1
  done
}
interrupted_code() {
  local run=$1 signal=$2
  shift 2
  start_waiting "$run" "$@"
  kill "-$signal" "$launched"
  wait "$launched"
  echo $?
}
# A launcher that took the stop for an end has a second to show it.
suspended_code() {
  local run=$1 child
  shift
  start_waiting "$run" "$@"
  child=$(pgrep -P "$launched")
  kill -STOP "$child"
  for _ in $(seq 10); do
    kill -0 "$launched" 2>/dev/null || break
    sleep 0.1
  done
  kill -CONT "$child"
  kill -TERM "$launched" 2>/dev/null
  wait "$launched"
  echo $?
}
expect "TERM interrupts the program, resumable" 75 "$(interrupted_code i TERM)"
expect "HUP too" 75 "$(interrupted_code j HUP)"
expect "TERM interrupts ranks under mpirun, resumable" 75 "$(interrupted_code k TERM -n 2)"
expect "a program that was suspended for a while is waited for" 75 "$(suspended_code p)"
expect "a suspended mpirun too" 75 "$(suspended_code q -n 2)"

expect "no temporary file stays" 0 "$(find "$TMPDIR" -name 'elbow-result.*' | wc -l)"

# What killed mpiruns have left behind, one of them with the process number that the next one gets.
host=$(hostname)
first=$(exec sh -c 'echo $$')
mkdir crowded && (cd crowded && seq -f 'ompi.%.0f' "$first" $((first + 999)) | xargs mkdir)
for ((i = first; i < first + 1000; ++i)); do : >"crowded/ompi.$i/pmix.$host.tool.$i"; done
expect "ranks start beside the remains of others" 0 "$(TMPDIR=$folder/crowded code_of -n 2 rank)"
expect "and leave none of their own" 1000 "$(find crowded -mindepth 1 -maxdepth 1 | wc -l)"

echo "$failures failed"
((failures == 0))
