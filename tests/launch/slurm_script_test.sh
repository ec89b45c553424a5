#!/usr/bin/env bash
# The scripts of launch/slurm/ are what the commands in their second lines print, and scripts of other cases are sound too.
#    slurm_script_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
cd "$repository" || exit 1

for script in launch/slurm/*.sbatch; do
  command=$(sed -n '2s/^# elbow //p' "$script")
  eval "set -- $command"
  check "$script is what elbow $command prints" same "$("$program" "$@")" "$(<"$script")"
done

# written ARGUMENT...   a script for another case, as `job`; a shell must be able to read it.
written() {
  "$program" slurm "$@" >"$folder/job" || echo "FAILED: elbow slurm $*"
  check "a shell reads the script for $*" bash -n "$folder/job"
}
has() { check "  which has $1" contains "$folder/job" "$1"; }
lacks() { check "  and not $1" fails contains "$folder/job" "$1"; }

written configs/kl_vae.cfg
has 'launch/elbow \'
lacks '-n "$SLURM_NTASKS"'
lacks SLURM_WHOLE
written configs/kl_vae.cfg --nodes 2 --gpus-per-node 4 --container 'my images/elbow.sif' --launcher srun
has '#SBATCH --ntasks-per-node=4'
has "--kill-on-bad-exit=1 apptainer exec --nv 'my images/elbow.sif' elbow"
written configs/kl_vae.cfg --module 'module load gcc/12 openmpi/5.0' --module 'source setup.sh' --elbow /opt/elbow/bin/elbow \
  --sbatch --account=me --sbatch '--constraint=a100&nvlink' --partition gpu,spare --time 2-12:00:00
has 'module load gcc/12 openmpi/5.0'
has 'source setup.sh'
has '/opt/elbow/bin/elbow'
has '#SBATCH --account=me'
has '#SBATCH --constraint=a100&nvlink'
has '#SBATCH --partition=gpu,spare'
has '#SBATCH --time=2-12:00:00'
written configs/kl_vae.cfg --kind preemptible checkpoint.every_steps=100 --out "it's here"
has "out='it'\\''s here'"
lacks checkpoint.every_minutes
written configs/sweep_kl.cfg 'sweep.objective.kl_wt=logspace(1e-4, 1e-1, 12)' --kind array --shards 24 --launcher srun
has "'sweep.objective.kl_wt=logspace(1e-4, 1e-1, 12)'"
has '--shard "$SLURM_ARRAY_TASK_ID/24"'
finish
