#!/usr/bin/env bash
# Every script of launch/slurm/, and mpirun over a host file, in a real Slurm of three nodes: each completes. Then what befalls
# jobs: preemption with and without a signal for the script, the loss of another node than the script's, the time limit,
# scancel, a sweep and one task of an array that are preempted.    recipes_slow_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/slurm_cluster.sh" "$@"
source "$(dirname "$0")/../support/shell.sh" "$@"
source "$repository/tests/support/slurm_jobs.sh"
run=runs/kl_vae
check "Slurm starts" start_cluster n1 n2 n3

# --- Each completes ------------------------------------------------------------------------------------------------------
small_jobs 2
complete() { check "$1 completes" same "$(state_within 120 "$2") $(value "$3" status)" "COMPLETED complete"; }
for script in train srun gpus preemptible; do
  submit launch/slurm/$script.sbatch
  complete $script.sbatch "$job" $run/result.json
  check "on four ranks of two nodes, or on two" matches "kl_vae-$job.log" '^ranks +[24] \(mpi\) on n1: .*n2: '
  rm -r runs
done
submit launch/slurm/sweep.sbatch
complete sweep.sbatch "$job" runs/sweep_kl/result.json
rm -r runs
submit launch/slurm/array.sbatch
for task in 1 2 3 4; do complete "array.sbatch, task $task," "${job}_$task" runs/sweep_kl/result_${task}_of_4.json; done
check "the array's shards are one sweep" eval '"$program" report runs/sweep_kl >/dev/null && (($(wc -l <runs/sweep_kl/results.csv) == 25))'
rm -r runs

printf 'n1 slots=2\nn2 slots=2\n' >hosts
{ echo '#!/bin/bash' && declare -p node_process && declare -f on_node && echo 'on_node "$1" bash -c "${*:2}"'; } >agent  # for ssh
chmod +x agent
check "mpirun --hostfile completes" eval '"$ELBOW_MPIRUN" --hostfile hosts -n 4 --bind-to none --with-ft ulfm --prtemca plm_ssh_agent \
  "$folder/agent" "$program" train configs/kl_vae.cfg --out $run >hosts.log 2>&1'
check "on both hosts" matches hosts.log '^ranks +4 \(mpi\) on n1: .*n2: '
rm -r runs

for kind in none pmi2; do
  srun --mpi=$kind --nodes=2 --ntasks=2 "$program" train --out alone >/dev/null 2>refused
  check "srun --mpi=$kind, where each task is alone, is refused" contains refused "start with \`srun --mpi=pmix\`"
done

# --- And ends as if nothing had been -------------------------------------------------------------------------------------
# An urgent job on all nodes, for a moment.
urgent_job() { sbatch --partition=urgent --nodes=3 --exclusive --output=/dev/null --wrap true >/dev/null; }
# as_undisturbed WHAT JOB RESTARTS
as_undisturbed() {
  check "$1: the job comes back, and completes" same "$(state_within 180 "$2")" COMPLETED
  check "$1: after a restart or more" has_restarted "$2" "$3"
  check "$1: with the undisturbed run's weights and curves" is_undisturbed $run
  story "kl_vae-$2.log"
  rm -rf runs
}
small_jobs 150
"$program" train configs/kl_vae.cfg train.reproducible=exact --out whole --progress none >/dev/null
"$program" slurm configs/kl_vae.cfg train.reproducible=exact --kind preemptible --nodes 2 --launcher srun >srun.sbatch

submit srun.sbatch
within 60 has_saved $run 160 && urgent_job
as_undisturbed "preempted under srun" "$job" 1

submit launch/slurm/preemptible.sbatch
within 60 has_saved $run 160
for other in n1 n2 n3; do
  [[ $other != "$(job_field "$job" BatchHost)" && $(job_field "$job" NodeList) == *"${other#n}"* ]] && break
done
kill_node $other
as_undisturbed "another node than the script's lost" "$job" 1
start_node $other
check "the node is back" within 30 all_idle n1 n2 n3

sed -i 's/^SlurmctldParameters=.*//' "$SLURM_CONF" && scontrol reconfigure
for script in launch/slurm/preemptible.sbatch srun.sbatch; do
  submit $script
  within 60 has_saved $run 160 && urgent_job
  as_undisturbed "preempted where Slurm signals only the steps, $script" "$job" 1
done

# --- Time limit, scancel -------------------------------------------------------------------------------------------------
small_jobs 100000
submit --time=2 --signal=B:USR2@30 launch/slurm/preemptible.sbatch  # Slurm may be up to a minute early
check "near its time limit a job goes back into the queue" within 180 has_restarted "$job" 1
check "having left a checkpoint" contains "kl_vae-$job.log" "interrupted by signal USR2"
check "and goes on" within 60 matches "kl_vae-$job.log" "^resumed "
scancel "$job"
check "scancel ends it" same "$(state_within 60 "$job")" CANCELLED
check "for good" same "$(squeue --noheader | wc -l)" 0
story "kl_vae-$job.log"
rm -r runs

submit srun.sbatch
within 60 has_saved $run 160 && scancel "$job"
check "under srun scancel leaves a checkpoint" within 30 grep -qs '"status": "interrupted"' $run/result.json
check "for good too" within 30 eval '[[ -z $(squeue --noheader) ]]'
rm -r runs

# --- Sweeps --------------------------------------------------------------------------------------------------------------
small_jobs 120  # long enough for an urgent job to come while they run
export ELBOW_CFG_TRAIN__REPRODUCIBLE=exact
trials_of() { (cd "$1" && sha256sum trials/*/checkpoints/step_000001920/model.safetensors); }
"$program" sweep configs/sweep_kl.cfg --out whole_sweep --progress none >/dev/null 2>&1
some_begun() { compgen -G "runs/sweep_kl/trials/*/checkpoints/step_*" >/dev/null; }
some_done() { compgen -G "runs/sweep_kl/trials/*/result.json" >/dev/null; }
submit launch/slurm/sweep.sbatch
within 60 some_done && urgent_job
check "a preempted sweep completes" same "$(state_within 240 "$job") $(value runs/sweep_kl/result.json status)" "COMPLETED complete"
check "after a restart" has_restarted "$job" 1
check "and its trials have the undisturbed sweep's weights" same "$(trials_of runs/sweep_kl)" "$(trials_of whole_sweep)"
rm -r runs
submit launch/slurm/array.sbatch
within 60 some_begun && scontrol requeue "${job}_1"  # as a preemption does, which may come too late for tasks this short
for task in 1 2 3 4; do
  check "a preempted array, task $task, completes" same "$(state_within 240 "${job}_$task")" COMPLETED
  has_restarted "${job}_$task" 1 && restarted=yes
done
check "after a restart of some" same "${restarted:-no}" yes
check "and its trials have the undisturbed sweep's weights" same "$(trials_of runs/sweep_kl)" "$(trials_of whole_sweep)"
on_failure
finish
