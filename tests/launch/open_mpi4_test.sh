#!/usr/bin/env bash
# elbow under Debian's Open MPI 4: the sources that use MPI are compiled against it and linked with the rest of this build; two
# ranks train a few steps to the bits that they have under the build's own MPI, and a lost rank ends the job, resumable.
#    open_mpi4_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
build=$(dirname "$program")
prefix=$(dirname "$(dirname "$ELBOW_MPIRUN")")  # of the build's own MPI
if ! [[ $(mpicxx --showme:version 2>/dev/null) == *"Open MPI 4."* && -e $build/build.ninja && -e $prefix/lib/libmpi.so ]]; then
  echo "skipped: Debian's Open MPI 4 (apt-get install libopenmpi-dev openmpi-bin), or a build with another by Ninja, is missing"
  exit 77
fi
includes=$(mpicxx --showme:incdirs) libraries=$(mpicxx --showme:libdirs)

# compile_again SOURCE   prints the command that compiled it, for the other MPI.
compile_again() {
  "$python" - "$build/compile_commands.json" "$1" "$prefix/include" "${includes%% *}" "$2" <<'PYTHON'
import json, sys
commands, source, old, new, output = sys.argv[1:]
command = next(c["command"] for c in json.load(open(commands)) if c["file"] == source)
command = command.replace(f"-isystem {old} ", f"-isystem {new} ")
assert new in command
print(command[:command.index(" -o ")], "-o", output, "-c", source)
PYTHON
}
mapfile -t sources < <(grep -lE '[<"](mpi|comm/ulfm)\.h[>"]' "$repository"/comm/*.cpp)
cp "$build/libelbow_comm.a" .
for source in "${sources[@]}"; do
  object=$folder/$(basename "$source").o
  command=$(compile_again "$source" "$object")
  check "compiles ${source#"$repository"/}" eval "cd '$build' && $command && ar r '$folder/libelbow_comm.a' '$object' 2>/dev/null"
done
link=$(ninja -C "$build" -t commands elbow 2>/dev/null | tail -n 1)
link=${link//" -L$prefix/lib "/" -L$libraries "}
link=${link//"ORIGIN:$prefix/lib:"/"ORIGIN:$(dirname "$(readlink -f "$libraries/libmpi.so")"):"}
link=${link//libelbow_comm.a/"$folder/libelbow_comm.a"}
link=${link//" -o elbow "/" -o '$folder/elbow' "}
check "links" eval "cd '$build' && $link"
ldd "$folder/elbow" >needed
check "with Debian's library" contains needed 'libmpi.so.40 => /usr/lib'
cd "$folder" || exit 1
printf "ELBOW_MPIRUN='%s'\nELBOW_OPEN_MPI='%s'\n" "$(command -v mpirun)" "$(mpirun --version | sed -n 's/.*(Open MPI) //p')" >launch.env

few_digits digits 500 100
steps=(train "$repository/configs/kl_vae.cfg" data.source=idx data.dir=digits model.encoder=16 model.decoder=16 train.batch_size=32
  train.leaves=4 train.reproducible=exact train.threads=1 --progress none)
"$launcher" -n 2 "${steps[@]}" train.steps=20 --out expected >/dev/null
check "two ranks train" eval 'ELBOW_PROGRAM=$folder/elbow "$launcher" -n 2 "${steps[@]}" train.steps=20 --out run >out 2>err'
check "and the run is complete" same "$(value run/result.json status)" complete
check "under Open MPI 4" matches run/manifest.json 'Open MPI v4\.'
check "with the same weights" same "$(weights_of run)" "$(weights_of expected)"
check "one process trains" eval '"$folder/elbow" "${steps[@]}" train.steps=20 --out alone >out 2>err'
check "with the same weights too" same "$(weights_of alone)" "$(weights_of expected)"

# Without ULFM a lost rank ends the job; what it saved is there.
ELBOW_PROGRAM=$folder/elbow start "$launcher" -n 2 "${steps[@]}" train.epochs=1000000 checkpoint.every_steps=50 --out "$folder/lost"
saved() { compgen -G "lost/checkpoints/step_*" >/dev/null; }
check "a longer run saves" within 60 saved
kill -KILL "$(pgrep -f -- "^$folder/elbow train .*--out $folder/lost\$" | head -n 1)"
check "and ends when a rank is killed" within 60 gone "$process"
exit_code_of "$process"
check "with 75" same "$code" 75
((failures == 0)) || cat out err stderr
finish
