# A Slurm of several nodes on this one machine, for one script.   source it before support/shell.sh, with the script's "$@"
#
# Starts the script again in namespaces of its own, where it is process 1: what it starts ends with it, its ports, mounts and
# host names are nobody else's, and nothing is left behind. Each node is a slurmd with a host name and a process namespace of its
# own, in which it can be killed with all that it runs, as a machine that loses power.
# Skips, with the reason, where that is not allowed or Debian's packages are missing.
# shellcheck shell=bash disable=SC2034,SC2154
if [[ -z ${ELBOW_CLUSTER:-} ]]; then
  for tool in munged slurmctld slurmd sbatch ip; do
    PATH=$PATH:/usr/sbin:/sbin command -v $tool >/dev/null && continue
    echo "skipped: $tool is missing (Debian: apt-get install munge slurmctld slurmd slurm-client libpmix2 iproute2)"
    exit 77
  done
  namespaces=(unshare --mount --pid --net --uts --ipc --fork --kill-child --mount-proc)
  probe='mount -t tmpfs tmpfs /dev/shm && ip link add probe0 type bridge && ip link add probe1 type veth peer name probe2'
  if ((EUID != 0)) || ! PATH=$PATH:/usr/sbin:/sbin "${namespaces[@]}" sh -c "$probe" 2>/dev/null; then
    echo "skipped: nodes with networks of their own need root, with the right to make namespaces, mounts and bridges"
    exit 77
  fi
  ELBOW_CLUSTER=1 exec "${namespaces[@]}" bash "$0" "$@"
fi
export PATH=$PATH:/usr/sbin:/sbin
cluster_network=10.97.0

# start_cluster NODE...   in $folder/cluster. Partitions: `work` with all nodes, which `urgent` may preempt.
start_cluster() {
  local node number=10 nodes='' pmix
  cluster=$folder/cluster
  export SLURM_CONF=$cluster/slurm.conf TMPDIR=$cluster/tmp
  mkdir -p "$cluster"/{state,tmp}
  hostname head
  ip link set lo up
  ip link add cluster type bridge && ip addr add $cluster_network.1/24 dev cluster && ip link set cluster up
  mount -t tmpfs tmpfs /dev/shm
  printf '127.0.0.1 localhost\n%s.1 head\n' $cluster_network >"$cluster/hosts"
  for node in "$@"; do
    node_address[$node]=$cluster_network.$((++number))
    echo "${node_address[$node]} $node" >>"$cluster/hosts"
    nodes+="NodeName=$node NodeAddr=${node_address[$node]} CPUs=8 Gres=gpu:2 State=UNKNOWN"$'\n'
  done
  mount --bind "$cluster/hosts" /etc/hosts
  # Slurm looks for PMIx by a name that Debian's package of headers has.
  pmix=$(dirname "$(readlink -f /usr/lib/*/pmix2/lib/libpmix.so.2)")
  cp -a "$pmix" "$cluster/pmix" && ln -sf libpmix.so.2 "$cluster/pmix/libpmix.so" && mount --bind "$cluster/pmix" "$pmix"

  mkdir "$cluster/munge" && chmod 700 "$cluster/munge"
  head -c 1024 /dev/urandom >"$cluster/munge/key" && chmod 400 "$cluster/munge/key"
  munged --force --foreground --key-file="$cluster/munge/key" --socket="$cluster/munge.socket" --log-file="$cluster/munge/log" \
    --pid-file="$cluster/munge/pid" --seed-file="$cluster/munge/seed" --num-threads=2 >"$cluster/munge.out" 2>&1 &
  disown
  cat >"$SLURM_CONF" <<CONF
ClusterName=elbow
SlurmctldHost=head($cluster_network.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job that comes back from the queue may start after cred_expire seconds.
AuthInfo=socket=$cluster/munge.socket,cred_expire=5
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/%n/spool
TmpFS=$cluster/%n/tmp
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/%n/slurmd.pid
SlurmctldLogFile=$cluster/slurmctld.log
SlurmdLogFile=$cluster/%n/slurmd.log
# What needs neither systemd nor control groups.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=${cluster_parameters:-preempt_send_user_signal}
# Seconds, instead of a large machine's minutes.
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,batch_sched_delay=0,defer_batch
SlurmdTimeout=6
KillWait=5
MessageTimeout=5
$nodes
PartitionName=work Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=9 PreemptMode=OFF
CONF
  printf 'Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n' >"$cluster/gres.conf"  # stand-ins
  slurmctld -D >"$cluster/slurmctld.out" 2>&1 &
  disown
  for node in "$@"; do start_node "$node"; done
  within 30 all_idle "$@"
}

declare -A node_process node_address
start_node() {
  local own
  own=$(readlink /proc/$$/ns/net)
  mkdir -p "$cluster/$1"/{spool,tmp}
  unshare --pid --net --uts --fork --kill-child --mount-proc bash -c '
    until ip link set eth0 up; do :; done 2>/dev/null
    hostname "$0" && ip link set lo up && ip addr add "$1/24" dev eth0
    slurmd -D -N "$0" &
    wait' "$1" "${node_address[$1]}" >"$cluster/$1/slurmd.out" 2>&1 &
  node_process[$1]=$!
  disown
  while [[ $(readlink /proc/$!/ns/net) == "$own" ]]; do :; done
  ip link add "$1" type veth peer name eth0 netns $! && ip link set "$1" master cluster up
}
# kill_node NODE   and all that runs on it, at once.
kill_node() { kill -KILL "${node_process[$1]}"; }
# on_node NODE COMMAND...   as ssh would.
on_node() {
  local first
  first=$(<"/proc/${node_process[$1]}/task/${node_process[$1]}/children")
  nsenter --target "${first%% *}" --pid --net --uts --mount -- "${@:2}"
}
all_idle() { (($(sinfo --noheader --Node --states=idle --partition=work --format=%N 2>/dev/null | wc -l) == $#)); }

# submit ARGUMENT...   sbatch; sets `job`.
submit() { job=$(sbatch --parsable "$@") && job=${job%%;*}; }
job_field() { scontrol show job "$1" 2>/dev/null | grep -oE "(^| )$2=[^ ]*" | head -n 1 | cut -d= -f2-; }
state_of() { job_field "$1" JobState; }
has_restarted() { (($(job_field "$1" Restarts) >= $2)); }
has_ended() { [[ $(state_of "$1") =~ ^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|PREEMPTED|OUT_OF_MEMORY)$ ]]; }
# state_within SECONDS JOB   waits for the job's end; its state.
state_within() {
  within "$1" has_ended "$2"
  state_of "$2"
}
