# Hosts on one machine.   source "$(dirname "$0")/hosts.sh" "$@", in place of support/shell.sh and before anything else
#
# A host is a set of namespaces with a network, a host name and a /dev/shm of its own; virtual Ethernet joins it to a switch.
# The script starts itself again in namespaces that hold all of them: nobody else sees the network, and the kernel removes it,
# with every process, when the script ends or is killed. It skips where that is not allowed.
# shellcheck shell=bash disable=SC2034,SC2154
if [[ -z ${ELBOW_OWN_NETWORK:-} ]]; then
  skip() { echo "skipped: $1" && exit 77; }
  for tool in ip unshare nsenter; do
    command -v $tool >/dev/null || skip "there is no $tool (packages iproute2, util-linux)"
  done
  own=(unshare --net --mount --uts --ipc --pid --fork --kill-child --mount-proc)
  for user in "" "--user --map-root-user"; do
    # shellcheck disable=SC2086
    "${own[@]}" $user sh -c 'ip link add try type bridge && ip link add try1 type veth peer name try2 &&
      mount -t tmpfs tmpfs /dev/shm' 2>/dev/null && ELBOW_OWN_NETWORK=1 exec "${own[@]}" $user bash "$0" "$@"
  done
  skip "no network namespace with virtual Ethernet can be made here"
fi
source "$(dirname "${BASH_SOURCE[0]}")/../support/shell.sh" "$@"

# make_hosts COUNT   host1 (10.77.0.1), host2, ...: names and addresses that all of them know.
make_hosts() {
  local i names=$'127.0.0.1 localhost\n'
  for ((i = 1; i <= $1; ++i)); do names+="10.77.0.$i host$i"$'\n'; done
  mkdir hosts && echo "$names" >hosts/names && mount --bind hosts/names /etc/hosts
  ip link set lo up && ip link add switch type bridge && ip link set switch up
  for ((i = 1; i <= $1; ++i)); do
    unshare --net --uts --mount --ipc sh -c "echo host$i >/proc/sys/kernel/hostname && mount -t tmpfs tmpfs /dev/shm &&
      : >hosts/host$i.up && exec sleep infinity" &
    echo $! >hosts/host$i
    disown  # whose end is nobody's news
    within 10 test -e hosts/host$i.up || return 1
    ip link add port$i type veth peer name eth0 netns "$(<hosts/host$i)" && ip link set port$i up master switch
    on host$i sh -c "ip address add 10.77.0.$i/24 dev eth0 && ip link set eth0 up && ip link set lo up" || return 1
  done
  has_netem || echo "note    this kernel has no netem: instead of latency and loss, links have a rate and a queue that drops"
  make_agent
}

has_netem() { tc qdisc replace dev port1 root netem delay 0 2>/dev/null; }
# links DELAY LOSS RATE QUEUE   what frames to each host suffer: of netem, or where there is none, of a rate and a queue.
links() {
  local port
  for port in $(ip -o link show master switch | sed -E 's/^[0-9]+: ([a-z0-9]+).*/\1/'); do
    if has_netem; then
      tc qdisc replace dev "$port" root netem delay "$1" loss "$2"
    else
      tc qdisc replace dev "$port" root tbf rate "$3" burst 128kb latency "$4"
    fi
  done
}
frames_lost() { tc -s qdisc show | sed -n 's/.*dropped \([0-9]*\).*/\1/p' | awk '{n += $1} END {print n + 0}'; }

# What mpirun starts its daemons with: as ssh does, in a bare environment and a shell of the other host.
make_agent() {
  cat >agent <<AGENT
#!/bin/sh
host=\$1
shift
env -i PATH="\$PATH" HOME="\$HOME" TMPDIR=$folder/temporary nsenter --target "\$(cat $folder/hosts/\$host)" --net --uts --mount --ipc -- sh -c "\$*"
code=\$?
while [ -e $folder/hosts/\$host.dark ]; do sleep 1; done  # nobody tells it that the other end is gone
exit \$code
AGENT
  chmod +x agent
  export PRTE_MCA_plm_ssh_agent=$folder/agent TMPDIR=$folder/temporary
  mkdir -p "$TMPDIR"
}

# on HOST COMMAND...   in this folder.
on() {
  nsenter --target "$(<"$folder/hosts/$1")" --net --uts --mount --ipc -- \
    sh -c 'cd "$0" && exec "$@"' "$PWD" "${@:2}"
}

# A link that swallows everything, as one that is cut somewhere on the way; and one that is whole again.
cut_link() { ip link set "port${1#host}" nomaster; }
restart() { rm "$folder/hosts/$1.dark" && mend_link "$1"; }
mend_link() { ip link set "port${1#host}" master switch; }

is_on() { [[ $(readlink "/proc/$1/ns/uts") == "$(readlink "/proc/$(<"$folder/hosts/$2")/ns/uts")" ]]; }  # PROCESS HOST
# daemons_of HOST   the launcher's processes there.
daemons_of() {
  local process
  for process in $(pgrep -x prted); do is_on "$process" "$1" && echo "$process"; done
}
# lose HOST   it goes dark: its link is cut, and everything that runs there is killed.
lose() {
  local process
  : >"$folder/hosts/$1.dark"
  cut_link "$1"
  for process in /proc/[0-9]*; do
    process=${process##*/}
    [[ $process != "$(<"$folder/hosts/$1")" ]] && is_on "$process" "$1" && kill -KILL "$process" 2>/dev/null
  done
}
# rank_of RUN RANK   its process.
rank_of() {
  local process
  for process in $(ranks_of "$folder/$1"); do
    is_rank "$process" "$2" && echo "$process"
  done
}
