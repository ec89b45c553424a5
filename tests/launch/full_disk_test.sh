#!/usr/bin/env bash
# Checkpoints that cannot be written: the disk is full, the folder is gone. Training goes on, says so, tries again, and a run
# whose last checkpoint is missing has failed.    full_disk_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
mkdir disk
if ! mount -t tmpfs -o size=2500k tmpfs disk 2>mount.err; then
  echo "skipped: no tmpfs can be mounted here: $(cat mount.err)"
  exit 77
fi
trap 'umount "$folder/disk"; leave' EXIT
few_digits digits 2000 100  # 40 steps an epoch
recipe=("$repository/configs/kl_vae.cfg" data.source=idx data.dir="$folder/digits" model.encoder=64 model.decoder=64
  train.batch_size=50 train.threads=1 train.reproducible=exact --progress plain)  # 0.4 MB of weights, as much of state

# --- A full disk that has room again in time -------------------------------------------------------------------------------
has_lines() { [[ -e $1/metrics.jsonl ]] && (($(wc -l <"$1/metrics.jsonl") >= $2)); }
start "$program" train "${recipe[@]}" train.epochs=1000000 checkpoint.keep_last=1 checkpoint.keep_best=false --out disk/run
check "an epoch is done" within 20 has_lines disk/run 2
head -c 3000000 /dev/zero >disk/ballast 2>/dev/null
told() { grep -qE "could not be saved|the run goes on" stdout; }
check "a checkpoint that does not fit is told" within 20 told
kept=$(newest_of disk/run)
check "the one before is intact" "$python" -c "
import sys
from safetensors.numpy import load_file
assert len(load_file(sys.argv[1] + '/model.safetensors')) == 10" "$kept"
rm disk/ballast
saved_again() { [[ $(newest_of disk/run) > $kept ]]; }
check "training goes on, and saves when there is room again" within 20 saved_again
kill -USR2 "$process"
exit_code_of "$process"
check "so that it ends resumable" same "$code" 75
check "with a checkpoint of its last step" same "$(newest_of disk/run)" \
  "disk/run/checkpoints/step_$(printf %09d "$(value disk/run/result.json steps_done)")"
check "and says what was not saved" matches disk/run/result.json 'saves failed, the last one: '
check "no half of a checkpoint is left" same "$(find disk/run -name '.tmp_*')" ""

# --- A full disk to the end --------------------------------------------------------------------------------------------------
start "$program" resume disk/run
check "it goes on" within 20 saved_again
head -c 3000000 /dev/zero >disk/ballast 2>/dev/null
check "the disk is full" within 20 told
kill -USR2 "$process"
exit_code_of "$process"
check "a run whose last checkpoint cannot be written ends with 1" same "$code" 1
check "in a sentence that says so" matches stderr "^elbow: .*(final checkpoint|result.json)"
rm disk/ballast
"$program" resume disk/run train.max_time=0.001 >out 2>err
check "and can still be resumed" same $? 75

# --- A folder that vanishes --------------------------------------------------------------------------------------------------
start "$program" train "${recipe[@]}" train.epochs=1000000 --out gone
check "an epoch is done" within 20 has_lines gone 2
mv gone moved
missed() { grep -q "gone/metrics.jsonl" stdout; }
check "a folder that has vanished is told" within 20 missed
mv moved gone
came_back() { has_lines gone "$1"; }
check "when it is back, the lines that waited are written" within 20 came_back $(($(wc -l <gone/metrics.jsonl) + 2))
kill -USR2 "$process"
exit_code_of "$process"
check "and the run ends resumable" same "$code" 75
check "with a line for every epoch and split" same "$(wc -l <gone/metrics.jsonl)" $((2 * $(value gone/result.json epochs_done)))
finish
