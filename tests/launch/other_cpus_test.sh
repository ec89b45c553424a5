#!/usr/bin/env bash
# On CPUs that this machine may not have, emulated: loops and products pass their tests with AVX2 and without, and a group of
# which one rank has AVX2 only trains to the bits that either CPU has alone, in exact mode.
#    other_cpus_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
if ! command -v qemu-x86_64 >/dev/null || [[ -n ${ASAN_OPTIONS:-} ]]; then
  echo "skipped: qemu-x86_64 (apt-get install qemu-user), or a build without sanitizers, is missing"
  exit 77
fi
with_avx2=(qemu-x86_64 -cpu "Haswell,-pcid,-x2apic,-tsc-deadline,-hle,-rtm,-invpcid")  # as it is, less what is not emulated
without=(qemu-x86_64 -cpu Nehalem)

# passes WHERE COMMAND...   the unit tests of what has loops for each instruction set.
passes() {
  local where=$1 name
  shift
  for name in models_{drawn_shapes,elementwise,likelihood,linear,noise_reference,ordered_products,own_gradient,sparse_products} \
    trainer_{batch,gradient_norm,gradient_sum,mean_picture,optimizer}; do
    "$@" "$(dirname "$program")/tests/${name}_test" >"$where.$name" 2>&1 || { tail -n 20 "$where.$name" && return 1; }
  done
}
passes without "${without[@]}" >without.out 2>&1 &
check "loops and products with AVX2" passes with "${with_avx2[@]}"
wait $!
check "and without" same "$?$(<without.out)" 0

small=(data.source=synthetic data.examples=256 data.test_examples=64 train.leaves=4 train.steps=5 train.threads=1
  train.reproducible=exact --progress none)
dense=("$repository/configs/pytorch_examples.cfg" "${small[@]}" train.batch_size=60)
convolutional=("$repository/configs/chollet_conv.cfg" "${small[@]}" data.height=12 data.width=12 model.channels=4,8)
mkl_branch() { sed -n 's/.*"mkl_branch": "\(.*\)".*/\1/p' "$1/manifest.json"; }
for kind in dense convolutional; do
  declare -n words=$kind
  "$program" train "${words[@]}" --out here-$kind >here.out 2>&1 || cat here.out
  "${with_avx2[@]}" "$program" train "${words[@]}" --out there-$kind >there.out 2>&1 || cat there.out
  check "$kind: the weights are those of this CPU" same "$(weights_of there-$kind)" "$(weights_of here-$kind)"
  check "and are there" differ "$(weights_of here-$kind)" ""
  check "so are the metrics" same "$(metrics_of there-$kind)" "$(metrics_of here-$kind)"
done
"${mpirun[@]}" -n 1 "$program" train "${dense[@]}" --out both : -n 1 "${with_avx2[@]}" "$program" train "${dense[@]}" --out both \
  >both.out 2>&1 || cat both.out
check "a group of both CPUs has the same weights" same "$(weights_of both)" "$(weights_of here-dense)"
check "and measures with the instructions that both have" same "$(mkl_branch both)" avx2,strict
check "and the same metrics" same "$(metrics_of both)" "$(metrics_of here-dense)"

"${without[@]}" "$program" train "${dense[@]}" --out refused >stdout 2>stderr
check "exact mode needs AVX2" fails test $? = 0
check "and says so in one sentence" one_sentence stderr
check "with what to do" contains stderr train.reproducible=fast
finish
