# What the scripts that drive the finished program share.   source "$(dirname "$0")/../support/shell.sh" "$@"
#
# Sets `program`, `launcher`, `python` and `repository` from the script's own arguments, and makes `folder`, a temporary
# working folder that is entered now and removed at the end, with everything that was started below it.
# shellcheck disable=SC2034,SC2059  # the scripts use what is set here
# shellcheck shell=bash
set -uo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
program=$(readlink -f "$1")
launcher=$(readlink -f "$2")
export ELBOW_PROGRAM=$program
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
# shellcheck source=/dev/null
source "$(dirname "$program")/launch.env"  # ELBOW_MPIRUN, ELBOW_OPEN_MPI
mpirun=("$ELBOW_MPIRUN" --oversubscribe --bind-to none)
python=${ELBOW_PYTHON:-$(dirname "$ELBOW_MPIRUN")/python}

failures=0
folder=$(mktemp -d)
export PRTE_MCA_prte_local_tmpdir_base=$folder.mpi  # mpirun stumbles over what another, killed one has left (launch/elbow)
cd "$folder" || exit 1
leave() {
  local process
  for process in /proc/[0-9]*; do  # whatever still runs in the folder
    [[ ${process##*/} != "$$" && $(readlink "$process/cwd" 2>/dev/null) == "$folder"* ]] &&
      kill -KILL "${process##*/}" 2>/dev/null
  done
  cd / && rm -rf "$folder" "$folder.mpi"
}
trap leave EXIT

# check WHAT COMMAND...   the command must succeed; a failure is counted and told.
check() {
  local what=$1
  shift
  if "$@"; then
    echo "ok      $what"
  else
    echo "FAILED  $what:  $*"
    [[ $1 =~ ^(contains|matches|one_sentence)$ ]] && tail -n 20 "$2" | sed 's/^/        | /'
    failures=$((failures + 1))
  fi
}
same() { [[ $1 == "$2" ]]; }
differ() { [[ $1 != "$2" ]]; }
fails() { ! "$@"; }
contains() { grep -qF -- "$2" "$1"; }                    # FILE TEXT
matches() { grep -qE -- "$2" "$1"; }                     # FILE PATTERN
one_sentence() { [[ $(grep -c '^elbow: ' "$1") == 1 ]]; }  # FILE: mpirun may add words of its own
finish() {
  echo "$failures failed"
  ((failures == 0))
  exit
}

# Waits for a command to succeed, at most so many seconds.
within() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}
# own_processes ARGUMENTS   of the program, started in this test's folder with arguments like these, the first one first; guards
# of ranks have another name.
own_processes() {
  local process
  for process in $(pgrep -f -- "^$program $1"); do
    [[ $(readlink "/proc/$process/cwd") == "$folder" && $(cat "/proc/$process/comm" 2>/dev/null) != elbow-guard ]] && echo "$process"
  done
}
gone() { ! kill -0 "$1" 2>/dev/null; }
is_rank() { grep -qszx "OMPI_COMM_WORLD_RANK=$2" "/proc/$1/environ"; }  # PROCESS RANK

# start COMMAND...   in the background, with `stdout` and `stderr` as its output; sets `process`. Killed at the end.
start() {
  set -m  # otherwise bash lets it ignore SIGINT
  "$@" >stdout 2>stderr </dev/null &
  process=$!
  set +m
}
# exit_code_of PROCESS   sets `code`, waits for it.
exit_code_of() {
  code=0
  wait "$1" 2>/dev/null || code=$?
}

# value FILE KEY...   what a JSON file holds at a path of keys.
value() {
  "$python" - "$@" <<'PYTHON'
import json, os, sys
if not os.path.exists(sys.argv[1]):
    sys.exit(f"{sys.argv[1]} is not there")
value = json.load(open(sys.argv[1]))
for key in sys.argv[2:]:
    value = value[int(key) if isinstance(value, list) else key]
print(value if isinstance(value, str) else json.dumps(value))
PYTHON
}
# weights_of RUN   the hash of its newest checkpoint's weights.
newest_of() { find "$1/checkpoints" -maxdepth 1 -name 'step_*' | sort | tail -n 1; }
weights_of() { sha256sum "$(newest_of "$1")/model.safetensors" | cut -d' ' -f1; }
# Every metric but the time that it took.
metrics_of() { sed -E 's/,"seconds":[^,]*,"examples_per_s":[^}]*//' "$1/metrics.jsonl"; }

# few_digits FOLDER TRAIN TEST   a data folder with MNIST's first examples, so that a run takes seconds.
big_endian() { printf "\\x$(printf %02x $(($1 >> 24 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 & 255)))"; }
few_digits() {
  local part count files=$repository/configs/data/mnist
  mkdir -p "$1"
  for part in train t10k; do
    [[ $part == train ]] && count=$2 || count=$3
    { printf '\0\0\10\3' && big_endian "$count" && big_endian 28 && big_endian 28 &&
      gzip -dc "$files/$part-images-idx3-ubyte.gz" 2>/dev/null | tail -c +17 | head -c $((count * 784)); } >"$1/$part-images-idx3-ubyte"
    { printf '\0\0\10\1' && big_endian "$count" &&
      gzip -dc "$files/$part-labels-idx1-ubyte.gz" 2>/dev/null | tail -c +9 | head -c "$count"; } >"$1/$part-labels-idx1-ubyte"
  done
}
