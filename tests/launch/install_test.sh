#!/usr/bin/env bash
# An installed elbow works from another folder than it was installed into, with libraries and an MPI of its own.
# install_test.sh PROGRAM LAUNCHER
source "$(dirname "${BASH_SOURCE[0]}")/../support/shell.sh" "$@"
unset ELBOW_PROGRAM
quietly() { "$@" >/dev/null; }

check "installs" quietly cmake --install "$(dirname "$program")" --prefix "$folder/first" --strip
check "moves" mv first second
home=$folder/second/lib/elbow

# Every library that comes with elbow is its own copy; what is left are the system's.
ldd "$home/elbow" | sed -n 's/.*=> \([^ ]*\).*/\1/p' | xargs -n 1 readlink -f >libraries
check "has LibTorch beside it" contains libraries "$home/wheels/torch/lib/libtorch_cpu.so"
check "takes nothing from the build's environment" fails grep -vE "^($home|/usr|/lib)/" libraries

small=(data.source=synthetic data.examples=256 data.test_examples=64 train.epochs=1 model.encoder=8 model.decoder=8)
for ranks in 1 2; do
  check "trains on $ranks ranks" quietly env -u LD_LIBRARY_PATH PATH=/usr/bin:/bin second/bin/elbow -n $ranks train \
    "${small[@]}" --out "run$ranks" --progress none
  check "and leaves a complete run" same "$(value "run$ranks/result.json" status)" complete
done
check "reads an installed recipe" quietly second/bin/elbow config second/share/elbow/configs/kl_vae.cfg
check "has the build's mpirun, or its copy" test -x "$(bash -c "source $home/launch.env && echo \$ELBOW_MPIRUN")"
finish
