#!/usr/bin/env bash
# launch/bundle.sh's archive works in a bare Debian: a tree that debootstrap has just made, without Python, MPI or a library of
# elbow's. Skips where debootstrap, its mirror or the right to change the root are missing.    bundle_slow_test.sh PROGRAM LAUNCHER
if [[ -z ${ELBOW_ALONE:-} ]]; then
  if ! { ((EUID == 0)) && command -v debootstrap && unshare --mount --pid true; } >/dev/null 2>&1; then
    echo "skipped: debootstrap (apt-get install debootstrap), root, and namespaces are needed"
    exit 77
  fi
  ELBOW_ALONE=1 exec unshare --mount --pid --fork --kill-child --mount-proc bash "$0" "$@"  # what is mounted here goes with it
fi
source "$(dirname "$0")/../support/shell.sh" "$@"
bare=$folder/bare
if ! debootstrap --variant=minbase bookworm "$bare" >debootstrap.log 2>&1; then
  echo "skipped: debootstrap could not make a Debian (its mirror may be out of reach):" && tail -n 3 debootstrap.log
  exit 77
fi
bundle() { "$repository/launch/bundle.sh" --build "$(dirname "$program")" "$@"; }
check "packs" eval 'bundle elbow.tar.gz >packed'
cat packed
check "and names the oldest glibc" matches packed 'glibc 2\.[0-9]+ or newer'
tar -C "$bare/opt" -xzf elbow.tar.gz && rm elbow.tar.gz
trap 'umount "$bare/dev/shm" "$bare/proc"; leave' EXIT  # before the folder is removed
mount -t proc proc "$bare/proc" && mkdir -p "$bare/dev/shm" && mount -t tmpfs tmpfs "$bare/dev/shm"
in_bare() { env -i PATH=/usr/sbin:/usr/bin:/bin HOME=/root chroot "$bare" "$@"; }
check "the tree is bare" fails in_bare bash -c 'command -v python3 mpirun fc-match || ldconfig -p | grep -E "torch|boost|cairo|libmpi"'

check "two ranks train there" eval 'in_bare /opt/elbow/bin/elbow -n 2 train data.source=synthetic data.examples=512 data.test_examples=64 \
  model.encoder=16 model.decoder=16 train.threads=1 train.epochs=1 --out /root/run >out 2>err'
check "and leave a complete run" same "$(value "$bare/root/run/result.json" status)" complete
check "which can be drawn" eval 'in_bare /opt/elbow/bin/elbow report /root/run >out 2>err'
check "with the bundle's font" fails contains err Fontconfig
check "and the shipped scripts are written there too" eval \
  'in_bare bash -c "cd /opt/elbow/share/elbow && ../../bin/elbow slurm configs/kl_vae.cfg >/dev/null"'
((failures == 0)) || cat out err

# Without LibTorch and MPI, with those found there.
check "packs without LibTorch and MPI" eval 'bundle --no-libtorch --no-mpi small.tar.gz >packed'
cat packed
check "in a tenth of the size" test "$(stat -c %s small.tar.gz)" -lt 40000000
mkdir "$bare/opt/small" && tar -C "$bare/opt/small" -xzf small.tar.gz
ln -s /opt/elbow/lib/elbow/wheels /opt/elbow/lib/elbow/mpi "$bare/opt/small/elbow/lib/elbow/"
check "and two ranks train with what the machine has" in_bare /opt/small/elbow/bin/elbow -n 2 train data.source=synthetic \
  data.examples=512 data.test_examples=64 model.encoder=16 model.decoder=16 train.threads=1 train.epochs=1 --out /root/second --progress none
finish
