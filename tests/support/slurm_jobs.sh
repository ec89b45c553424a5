# Jobs of launch/slurm/ in the Slurm of slurm_cluster.sh, made small.   source it after both and support/shell.sh
# shellcheck shell=bash disable=SC2034,SC2154

# small_jobs EPOCHS   from now on jobs train little networks; sbatch hands the environment on. 16 steps are an epoch.
small_jobs() {
  ln -sfn "$repository/configs" configs && ln -sfn "$repository/launch" launch
  export ELBOW_CFG_DATA__SOURCE=synthetic ELBOW_CFG_DATA__EXAMPLES=2048 ELBOW_CFG_DATA__TEST_EXAMPLES=64 ELBOW_CFG_MODEL__ENCODER=8
  export ELBOW_CFG_MODEL__DECODER=8 ELBOW_CFG_TRAIN__THREADS=1 ELBOW_CFG_TRAIN__EPOCHS=$1
}
saved_step() {  # 0 where nothing is saved
  local newest
  newest=$(newest_of "$1" 2>/dev/null)
  newest=${newest##*_}
  echo $((10#${newest:-0}))
}
has_saved() { (($(saved_step "$1") >= $2)); }
is_undisturbed() { [[ $(weights_of "$1") == "$(weights_of whole)" && $(metrics_of "$1") == "$(metrics_of whole)" ]]; }
# Where the job was at a moment, for the log.
says() { sed -n "/$2/p" "$1" | head -n 20 | sed 's/^/        /'; }
# story LOG   what a job's log says of its launches.
story() { says "$1" '^ranks \|^end \|^resumed \|queue\|CANCELLED\|not finished'; }
on_failure() { ((failures == 0)) || { tail -n 50 ./*.log && tail -n 30 "$cluster/slurmctld.log"; }; }
