#!/usr/bin/env bash
# What only a GPU can show, on a machine that has one, PyTorch's wheel, and no network: the gpu tests, then the recipes
# against PyTorch and the bits of exact mode, trained on the GPU. Ends with a table. 1 where something failed; what could
# not be tried is listed as skipped, with the reason, and is no failure.
#   tests/gpu/run.sh [--device cuda|cpu] [FOLDER]
#     FOLDER         made by tests/gpu/pack.sh, or a build folder; build/release unless given
#     --device cpu   tries this script itself, on the CPU
# Environment: ELBOW_PYTHON, a Python with torch (python3 unless given).
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
device=cuda
if [[ ${1:-} == --device ]]; then
  device=${2:?--device needs cuda or cpu}
  shift 2
fi
folder=$(readlink -f "${1:-$root/build/release}")
python=${ELBOW_PYTHON:-python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
detail=

table=()
report() { # item, verdict, detail
  table+=("$(printf '%-52s %-8s %s' "$1" "$2" "$3")")
  [[ $2 != FAILED ]] || failures=$((failures + 1))
  echo "-- $1: $2 $3"
}
finish() {
  printf '\n%-52s %-8s %s\n' "item" "result" "detail"
  printf '%s\n' "${table[@]}"
  echo "$failures failed"
  exit $((failures > 0))
}

# --- What this machine has -----------------------------------------------------------------------------------------------
[[ -x $folder/elbow ]] || { echo "$folder/elbow is not there: build it, or name a folder of tests/gpu/pack.sh" >&2; exit 2; }
site=$("$python" -c 'import pathlib, torch; print(pathlib.Path(torch.__file__).parents[1])') ||
  { echo "$python has no torch: set ELBOW_PYTHON" >&2; exit 2; }
gpu=$("$python" -c 'import torch; print(torch.cuda.get_device_name(0) if torch.cuda.is_available() else "")' 2>/dev/null)
echo "torch in $site; GPU: ${gpu:-none}"

# For elbow alone: Python keeps its own libraries.
libraries=$folder/lib:$folder/mpi/lib:$folder/mpi/lib/openmpi:$site/torch/lib
for lib in "$site"/nvidia/*/lib; do libraries+=:$lib; done
cat >"$scratch/with_libraries" <<WRAPPER
#!/usr/bin/env bash
export LD_LIBRARY_PATH=$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
exec "\$@"
WRAPPER
printf '#!/usr/bin/env bash\nexec "%s" "%s" "$@"\n' "$scratch/with_libraries" "$folder/elbow" >"$scratch/elbow"
chmod +x "$scratch/with_libraries" "$scratch/elbow"

mpirun=$folder/mpi/bin/mpirun
[[ -x $mpirun ]] || mpirun=$(sed -n "s/^ELBOW_MPIRUN='\(.*\)'$/\1/p" "$folder/launch.env" 2>/dev/null)
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
export ELBOW_PROGRAM=$folder/elbow

# --- The gpu tests -------------------------------------------------------------------------------------------------------
for name in gpu_registration_test gpu_training_test comm_nccl_mpi_test; do
  if "$scratch/with_libraries" "$folder/tests/$name" >"$scratch/log" 2>&1; then verdict=passed; else verdict=FAILED; fi
  passed=$(grep -c '^\[       OK' "$scratch/log")
  skipped=$(grep -c '^\[  SKIPPED \].*(' "$scratch/log")
  [[ $verdict == passed ]] || cat "$scratch/log"
  if [[ $verdict == passed && $passed == 0 ]]; then verdict=skipped; fi
  reason=$(grep -m1 -A1 'Skipped$' "$scratch/log" | tail -1)
  report "$name, one rank" "$verdict" "$passed passed, $skipped skipped${reason:+: $reason}"
done

recipes="items 2 and 3: recipes beside PyTorch, 10 epochs"
bits="item 4: exact, the same weights"
losses="item 4: fast on 1 and 2 ranks, losses to 1e-4"
if [[ $device == cuda && -z $gpu ]]; then
  for item in "$recipes" "$bits, trained twice" "$bits on 2, 3, 4 ranks" "$losses"; do
    report "$item" skipped "no GPU"
  done
  finish
fi

# --- Items 2 and 3 -------------------------------------------------------------------------------------------------------
if "$python" "$root/tests/reference/compare_with_pytorch.py" "$scratch/elbow" --set "train.device=$device"; then
  report "$recipes" passed "table above"
else
  report "$recipes" FAILED "table above"
fi

# --- Item 4 --------------------------------------------------------------------------------------------------------------
# train NAME RANKS MODE: one epoch in $scratch/NAME. More than one rank share the GPUs there are.
train() {
  local launch=("$scratch/elbow")
  (($2 == 1)) || launch=("$scratch/with_libraries" "$mpirun" -n "$2" --oversubscribe --bind-to none "$scratch/elbow")
  "${launch[@]}" train "$root/configs/kl_vae.cfg" train.epochs=1 "train.reproducible=$3" "train.device=$device" \
    --out "$scratch/$1" --progress none >"$scratch/log" 2>&1 ||
    { echo "code $? from ${launch[*]} train …"; cat "$scratch/log"; return 1; }
  grep -E '^(ranks|devices|speed)' "$scratch/log"
}
weights() { find "$scratch/$1" 2>/dev/null -name model.safetensors -exec sha256sum {} + | cut -c1-16; }
same_bits() { # item, NAME: $scratch/NAME has the weights of $scratch/once
  if [[ -n $(weights once) && $(weights "$2") == "$(weights once)" ]]; then
    report "$1" passed "SHA-256 $(weights once)…"
  else
    report "$1" FAILED "SHA-256 '$(weights "$2")', expected '$(weights once)'"
  fi
}

train once 1 exact
train again 1 exact
same_bits "$bits, trained twice" again
report "$bits with 1 and 2 threads" skipped "a GPU's host needs one thread"
report "$bits alone and in a pack" skipped "promised on a CPU only (design: losses to 1e-4 with another K)"
if [[ ! -x $mpirun ]]; then
  report "$bits on 2, 3, 4 ranks" skipped "no mpirun in $folder"
  report "$losses" skipped "no mpirun in $folder"
  finish
fi
for ranks in 2 3 4; do
  train "exact_$ranks" "$ranks" exact
  same_bits "$bits on $ranks ranks" "exact_$ranks"
done
if train fast_1 1 fast && train fast_2 2 fast && detail=$("$python" - "$scratch" <<'PYTHON'
import json, pathlib, sys
lines = [[json.loads(line)["loss"] for line in pathlib.Path(sys.argv[1], name, "metrics.jsonl").read_text().splitlines()]
         for name in ("fast_1", "fast_2")]
worst = max(abs(a - b) / abs(a) for a, b in zip(*lines, strict=True))
print(f"largest relative difference {worst:.1e}")
sys.exit(worst > 1e-4)
PYTHON
); then
  report "$losses" passed "$detail"
else
  report "$losses" FAILED "${detail:-no losses}"
fi
finish
