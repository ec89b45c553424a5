#!/usr/bin/env bash
# launch/slurm/preemptible.sbatch in a real Slurm of three nodes: an urgent job takes its nodes, later the node that its script
# runs on dies, and each time it comes back from the queue. It ends with the bits and the curves of a run that nobody disturbed.
#    preempted_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/slurm_cluster.sh" "$@"
source "$(dirname "$0")/../support/shell.sh" "$@"
source "$repository/tests/support/slurm_jobs.sh"
small_jobs 150
run=runs/kl_vae
log=kl_vae-1.log

check "Slurm starts" start_cluster n1 n2 n3
start "$program" train configs/kl_vae.cfg train.reproducible=exact --out whole --progress none
whole=$process

submit launch/slurm/preemptible.sbatch
preemptible=$job
check "the job trains" within 60 has_saved $run 160
submit --partition=urgent --nodes=3 --exclusive --output=urgent.log --wrap "scontrol --oneliner show job $preemptible"
check "an urgent job takes its nodes" same "$(state_within 60 "$job")" COMPLETED
check "while it waits in the queue" contains urgent.log "JobState=PENDING"
check "having left a checkpoint when it was told to" contains $log "interrupted by signal USR2"

check "it comes back" within 60 matches $log "^resumed .* step"
step=$(saved_step $run)
check "and goes on" within 60 has_saved $run $((step + 160))
killed=$(job_field $preemptible BatchHost)
kill_node "$killed"
check "the node of its script dies, and it is put back into the queue" within 60 has_restarted $preemptible 2
check "it is complete" same "$(state_within 120 $preemptible)" COMPLETED
check "on the nodes that are left" fails grep -q "$killed" <<<"$(job_field $preemptible NodeList)"
exit_code_of $whole
check "it has the undisturbed run's weights and curves: $(weights_of whole)" is_undisturbed $run
check "each epoch stands there once" same "$(wc -l <$run/metrics.jsonl)" 300
story $log
on_failure
finish
