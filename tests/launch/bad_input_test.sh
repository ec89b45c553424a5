#!/usr/bin/env bash
# The real program on inputs that cannot be: each must end at once with its exit code and one sentence on standard error that
# says what is wrong, where, and what to do. Prints the table.    bad_input_test.sh PROGRAM LAUNCHER
set -uo pipefail
program=$(readlink -f "$1")
launcher=$(readlink -f "$2")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
count=0
export ELBOW_PROGRAM=$program
failures=0

# Standard error without the block, between lines of dashes, in which mpirun tells that a program returned a code.
elbow_says() { sed '/^----------/,/^----------/d'; }

# refused CODE "WORD|WORD..." ARGUMENT...   runs the program; every WORD must be in the sentence, whatever its case.
refused() {
  local code=$1 words=$2 complaints="" got
  shift 2
  count=$((count + 1))
  timeout 60 "${start:-$program}" "$@" >stdout 2>stderr </dev/null
  got=$?
  [[ $got == "$code" ]] || complaints+=" [wanted exit code $code]"
  elbow_says <stderr >said
  [[ $(wc -l <said) == 1 && $(head -c 7 said) == "elbow: " ]] || complaints+=" [not one sentence]"
  local rest=$words
  while [[ -n $rest ]]; do
    grep -qiF -- "${rest%%|*}" said || complaints+=" [no '${rest%%|*}']"
    [[ $rest == *"|"* ]] && rest=${rest#*|} || rest=
  done
  printf '%3d  exit %-3s %s\n          %s\n' "$count" "$got" "$(shown "$@")" "$(head -c 400 said)"
  if [[ -n $complaints ]]; then
    printf '          FAILED:%s\n' "$complaints"
    failures=$((failures + 1))
  fi
}
shown() {
  local text="elbow $*"
  echo "${text//"$folder"\//}"
}
train() { refused "$1" "$2" train --out run "${@:3}"; }

# --- Command line --------------------------------------------------------------------------------------------------------
refused 2 "which command|--help"
refused 2 "unknown command 'trian'|did you mean train" trian
refused 2 "unknown command 'sweeep'|did you mean sweep|train, sweep, resume, config" sweeep a.cfg
refused 2 "which sweep|FILE|configs/sweep_kl.cfg" sweep
refused 2 "which sweep|FILE" sweep train.epochs=3
refused 2 "nowhere.cfg" sweep nowhere.cfg
refused 2 "--shard 3/2|I/N" sweep nowhere.cfg --shard 3/2
start=$launcher refused 2 "--shard x|I/N" -n 2 sweep nowhere.cfg --shard x
refused 2 "--resume auto|--out" sweep nowhere.cfg --resume auto
printf '[train]\nepochs = 1\n' >plain.cfg
refused 2 "bench = 'scalling'|did you mean scaling|step, comm, sweep, scaling" bench scalling
refused 2 "nothing to sweep over|plain.cfg" bench scaling plain.cfg
refused 2 "nowhere.cfg" bench scaling nowhere.cfg
refused 2 "nowhere.cfg" bench sweep nowhere.cfg
refused 2 "unknown flag --verbose|--help" --verbose
refused 2 "unknown flag --prgress|did you mean --progress" train --prgress bar
refused 2 "unknown flag -x" train -x
refused 2 "--out|RUN" train --out
refused 2 "--out|empty" train --out ""
refused 2 "--progress|'fancy'|auto, bar, plain, none" train --progress fancy
refused 2 "--resume|'always'|auto, never, must" train --resume always
refused 2 "--resume auto|--out" train --resume auto
refused 2 "which run|RUN" resume
refused 2 "which run|RUN" resume train.epochs=3
refused 2 "nowhere|no run|--out" resume nowhere
refused 2 "nowhere|no run|--out" train --resume must --out nowhere
refused 2 "'b.cfg'|key=value" config /dev/null b.cfg
refused 2 "unknown flag --sceonds|did you mean --seconds" doctor --sceonds 1
refused 2 "--seconds = 'long'|0 to 600" doctor --seconds long
refused 2 "--out|empty" doctor --out ""
refused 2 "there is no configuration file|none.cfg" doctor none.cfg
refused 2 "unknown key train.epoch|did you mean train.epochs" doctor train.epoch=3
refused 2 "--pretend|nowhere.json|facts" doctor --pretend nowhere.json
echo '[1]' >list.json && refused 2 "--pretend list.json|object" doctor --pretend list.json
echo '{"all": {"limits": 3}}' >wrong.json
start=$launcher refused 2 "--pretend|facts for all|--json" -n 2 doctor --seconds 0 --pretend wrong.json
refused 2 "which run|elbow report RUN" report
refused 2 "there is no folder nowhere|run folder" report nowhere
mkdir -p no_run && refused 2 "no_run|config.cfg|elbow train" report no_run
refused 2 "--out|empty" report no_run --out ""
refused 2 "unknown flag --outt|did you mean --out" report no_run --outt x
mkdir -p torn && printf 'no ledger\n' >torn/ledger.jsonl && refused 4 "line 1 of the ledger torn/ledger.jsonl|damaged" report torn
mkdir -p half && printf '[train]\nepochs = 3\n' >half/config.cfg && echo '{"split":' >half/metrics.jsonl
refused 3 "half/metrics.jsonl:1|remove the line" report half
rm half/metrics.jsonl && mkdir half/traces && echo none >half/traces/posterior_epoch_0001.npy
refused 3 "posterior_epoch_0001.npy|byte 0" report half
rm -r half/traces && mkdir -p half/checkpoints/step_000000001 && echo none >half/checkpoints/step_000000001/model.safetensors
refused 4 "step_000000001 is damaged|manifest.json|byte" report half
train 2 "log.pictures_every = -1|0 to" log.pictures_every=-1
mkdir -p old && echo "[train]" >old/config.cfg
refused 2 "old|holds a run|--resume|--out" train --out old
: >file
refused 2 "file/run|--out" train --out file/run
refused 2 "file/run|is no folder|--out" train --dry-run --out file/run
refused 2 "old|holds a run|--resume|--out" train --dry-run --out old
start=$launcher refused 2 "-n|ranks|'zero'" -n zero train

# --- Scripts for Slurm ---------------------------------------------------------------------------------------------------
slurm() { refused 2 "$1" slurm "${@:2}"; }
printf '[sweep]\nobjective.kl_wt = 1e-3, 1e-2\n' >two.cfg
slurm "--kind = 'arrray'|did you mean array|train, preemptible, sweep, array" --kind arrray
slurm "unknown flag --node|did you mean --nodes" --node 2
slurm "--nodes = 'two'|1 to" --nodes two
slurm "--nodes = '0'|1 to" --nodes 0
slurm "--gpus-per-node = '-1'|0 to 64" --gpus-per-node=-1
slurm "--ranks-per-node = 8|--gpus-per-node = 4|GPU of its own" --gpus-per-node 4 --ranks-per-node 8
slurm "--cores-per-rank = '0'|1 to" --cores-per-rank 0
slurm "--time = '1h'|HH:MM:SS" --time 1h
slurm "--time = '0:00'|HH:MM:SS" --time 0:00
slurm "--partition = 'a b'|letters" --partition 'a b'
slurm "--name = '#x'|letters" --name '#x'
slurm "--launcher = 'mpiexec'|mpirun, srun" --launcher mpiexec
slurm "--container|4 nodes|--launcher srun" --container a.sif --nodes 4
slurm "--sbatch = 'account=me'|--account=NAME" --sbatch account=me
slurm "--sbatch|end of a line" --sbatch $'--account=me\nrm -r x'
slurm "--module|end of a line" --module $'module load a\nb'
slurm "--out|end of a line" --out $'a\nb'
slurm "--module" --module ""
slurm "--shards|--kind array" --shards 3
slurm "which sweep|--kind sweep|[sweep]" --kind sweep
slurm "which sweep|--kind array|[sweep]" --kind array
slurm "--shards = 8|2 trials" two.cfg --kind array
slurm "there is no configuration file nowhere.cfg" nowhere.cfg
slurm "train.epochs = 0|out of range" train.epochs=0
slurm "optimizer.lr = -1" two.cfg --kind sweep optimizer.lr=-1

# --- Configuration -------------------------------------------------------------------------------------------------------
train 2 "unknown key objective.klwt|command line|did you mean objective.kl_wt|--keys" objective.klwt=1
train 2 "unknown key kl_wt|did you mean objective.kl_wt" kl_wt=1
train 2 "train.epochs = three|command line|not an integer|1 to" train.epochs=three
train 2 "train.epochs = 0|out of range|1 to" train.epochs=0
train 2 "train.batch_size = 1.5|not an integer" train.batch_size=1.5
train 2 "train.batch_size = 99999999999999999999|not an integer" train.batch_size=99999999999999999999
train 2 "optimizer.lr = nan|not a finite number" optimizer.lr=nan
train 2 "optimizer.lr = 1e-3x|not a finite number" optimizer.lr=1e-3x
train 2 "optimizer.rho = 1|out of range|below 1" optimizer.rho=1
train 2 "objective.beta = 1|objective.kl_wt = 1|exclude each other" objective.beta=1 objective.kl_wt=1
train 2 "objective.kl_wt = 1/0|not a finite number" objective.kl_wt=1/0
train 2 "data.threshold = 256|0 to 255" data.threshold=256
train 2 "model.encoder = 500,|'' that is not an integer" model.encoder=500,
train 2 "model.activation = rleu|did you mean relu|tanh, relu" model.activation=rleu
train 2 "train.shuffle = maybe|true or false" train.shuffle=maybe
train 2 "train.seed is given twice|'1'|'2'" train.seed=1 train.seed=2
train 2 "train.leaves = 12|power of two" train.leaves=12
train 2 "train.leaves = 64|train.batch_size = 32" train.leaves=64 train.batch_size=32
train 2 "objective.anneal_steps = 9|objective.anneal=linear" objective.anneal_steps=9
train 2 "train.precision = bf16|train.reproducible = exact|train.precision=fp32" train.precision=bf16 train.reproducible=exact
train 2 "objective.anneal_cycles = 3|objective.anneal=cyclical" objective.anneal_cycles=3
train 2 "objective.capacity_nats = 3|objective.capacity=batch" objective.capacity_nats=3
train 2 "objective.capacity = batch|objective.free_bits = 1|exclude" objective.capacity=batch objective.free_bits=1
train 2 "objective.kind = iwae|objective.capacity = batch|no KL" objective.kind=iwae objective.capacity=batch
train 2 "objective.kind = dreg|objective.free_bits|no KL" objective.kind=dreg objective.free_bits=1
train 2 "objective.kind = iwae|model.likelihood = gaussian_optimal" objective.kind=iwae model.likelihood=gaussian_optimal
train 2 "objective.free_bits_groups = 2|objective.free_bits" objective.free_bits_groups=2
train 2 "free_bits_groups = 3|does not divide|model.latent = 2" objective.free_bits=1 objective.free_bits_groups=3
train 2 "objective.samples = 0|1 to" objective.samples=0
train 2 "model.sigma = 0|above 0" model.likelihood=gaussian model.sigma=0
train 2 "model.sigma = 2|model.likelihood=gaussian" model.sigma=2
train 2 "model.kernel = 5|model.network=conv" model.kernel=5
train 2 "model.channels has 6 convolutions|28 x 28|1 x 1|model.kernel = 4" model.network=conv model.kernel=4 \
  model.channels=1,1,1,1,1,1
train 2 "model.likelihood = gausian|did you mean gaussian" model.likelihood=gausian
train 2 "optimizer.stages = 3:0.001|optimizer.schedule=stages" optimizer.stages=3:1e-3
train 2 "optimizer.stages|'3' that is not EPOCHS:RATE" optimizer.schedule=stages optimizer.stages=1:1e-3,3
train 2 "optimizer.schedule = stages|needs optimizer.stages" optimizer.schedule=stages
train 2 "optimizer.schedule = milestones|needs optimizer.milestones" optimizer.schedule=milestones
train 2 "optimizer.second_moment_start = 1|optimizer.kind=adam" optimizer.second_moment_start=1
train 2 "--init-from|old|no weights|model.safetensors" --init-from old
train 2 "--init-from|nowhere|no weights" --init-from nowhere
printf 'no safetensors' >model.safetensors
train 3 "model.safetensors|byte" --init-from model.safetensors
train 2 "data.source = idx|needs data.dir" data.source=idx
train 2 "data.dir|data.source=idx" data.dir=here
train 2 "data.in_memory = false|data.source = mnist|data.source=idx" data.in_memory=false
train 2 "data.examples = 9|data.source = mnist|data.source=synthetic" data.examples=9
train 2 "data.examples = 2e9|out of range|1000000000" data.source=synthetic data.examples=2e9
train 2 "data.width = 7|8 to 4096" data.source=synthetic data.width=7
train 2 "data.validation = 50|49" data.source=synthetic data.examples=50 data.validation=50
train 2 "train.max_time = 5x|not a duration|1:30:00" train.max_time=5x
train 2 "train.hang_timeout = -1|or none" train.hang_timeout=-1
train 2 "train.max_time = 1:99:00|not a duration" train.max_time=1:99:00
train 2 "train.on_nonfinite = retry|stop, rollback" train.on_nonfinite=retry
train 2 "train.rollback_factor = 0|above 0" train.rollback_factor=0
train 2 "checkpoint.keep_last = 0|1 to" checkpoint.keep_last=0
train 2 "checkpoint.every_step|did you mean checkpoint.every_steps" checkpoint.every_step=5
train 2 "there is no configuration file|none.cfg" none.cfg
train 2 "is a folder" old
printf '[train]\nepochs = 3\nepochs = 4\n' >twice.cfg
train 2 "train.epochs is given twice|twice.cfg:2|twice.cfg:3" twice.cfg
printf '\n[trian]\nepochs = 3\n' >section.cfg
train 2 "unknown section [trian]|section.cfg:2|did you mean train" section.cfg
printf '[sweep]\nobjective.kl_wt = 1e-3, 1e-2\n' >axis.cfg
train 2 "sweep.objective.kl_wt = 1e-3, 1e-2|axis.cfg:2|elbow sweep" axis.cfg
refused 2 "has the value '0.001' twice|sweep.repeats" sweep axis.cfg sweep.objective.kl_wt='1e-3, 0.001' --out run
refused 2 "places 1 and 2|sweep.repeats" sweep axis.cfg sweep.search=list sweep.objective.kl_wt='1, 1.0' --out run
refused 2 "sweep.warm_start|no two trials|objective.kl_wt" sweep axis.cfg sweep.search=list sweep.optimizer.lr='1e-3, 1e-4' \
  sweep.warm_start=true --out run
refused 2 "sweep.warm_start|--shard 1/2" sweep axis.cfg sweep.warm_start=true --shard 1/2 --out run
refused 2 "trial 1 of the sweep|objective.anneal = none|objective.anneal_steps = 12" sweep axis.cfg objective.anneal_steps=12 \
  sweep.search=list sweep.objective.anneal='linear, none' --out run
refused 2 "trial 1 (data.validation = 70000|cannot be" sweep axis.cfg sweep.search=list sweep.data.validation='0, 70000' --out run
train 2 "unknown key sweep.objective.kl_wd|did you mean objective.kl_wt" sweep.objective.kl_wd=1
printf '[train]\nepochs 3\n' >equals.cfg
train 2 "'epochs 3'|equals.cfg:2|key = value" equals.cfg
printf '[train]\nepochs = x\n' >type.cfg
train 2 "train.epochs = x|type.cfg:2|not an integer" type.cfg
printf '[train]\nepochs\0 = x\n' >binary.cfg
train 2 "binary.cfg|not a text file" binary.cfg
ELBOW_CFG_TRAIN__EPOCH=3 train 2 "train.epoch|environment variable ELBOW_CFG_TRAIN__EPOCH|did you mean train.epochs"
ELBOW_CFG_TRAIN__EPOCHS=-3 train 2 "train.epochs = -3|environment variable ELBOW_CFG_TRAIN__EPOCHS|out of range"
train 2 "data.validation = 60000|59999" data.validation=60000

# --- Data ----------------------------------------------------------------------------------------------------------------
# A good set of two 1x2 images and their labels, spoilt in one file at a time.
good_set() {
  rm -rf set && mkdir set
  for part in train t10k; do
    printf '\0\0\10\3\0\0\0\2\0\0\0\1\0\0\0\2\1\2\3\4' >"set/$part-images-idx3-ubyte"
    printf '\0\0\10\1\0\0\0\2\7\11' >"set/$part-labels-idx1-ubyte"
  done
}
spoilt() {  # CODE WORDS: with the files of set/ as they are now
  train "$1" "$2" data.source=idx data.dir=set
}
images=set/train-images-idx3-ubyte
labels=set/train-labels-idx1-ubyte

train 3 "nowhere/|No such file" data.source=idx data.dir=nowhere
good_set && rm "$labels"
spoilt 3 "train-labels-idx1-ubyte|No such file"
good_set && rm "$images" && mkdir "$images"
spoilt 3 "train-images-idx3-ubyte|is a folder"
good_set && : >"$images"
spoilt 3 "train-images-idx3-ubyte|byte 0|empty"
good_set && truncate -s 18 "$images"
spoilt 3 "train-images-idx3-ubyte|byte"
good_set && truncate -s 10 "$images"
spoilt 3 "train-images-idx3-ubyte|byte 10|header"
good_set && printf '\1' >>"$images"
spoilt 3 "train-images-idx3-ubyte|byte 20|follow"
good_set && printf 'GIF8' | dd of="$images" conv=notrunc status=none
spoilt 3 "train-images-idx3-ubyte|byte 0|47 49"
good_set && printf '\15' | dd of="$images" bs=1 seek=2 conv=notrunc status=none
spoilt 3 "train-images-idx3-ubyte|byte 2|0x0d"
good_set && printf '\377\377\377\377\377\377\377\377\377\377\377\377' | dd of="$images" bs=1 seek=4 conv=notrunc status=none
spoilt 3 "train-images-idx3-ubyte|byte 4|2^63"
good_set && printf '\0\0\0\0' | dd of="$images" bs=1 seek=4 conv=notrunc status=none
spoilt 3 "train-images-idx3-ubyte|zero examples"
good_set && printf '\0\0\10\1\0\0\0\3\7\11\1' >"$labels"
spoilt 3 "train-labels-idx1-ubyte|3 labels|2 images"
good_set && printf '\0\0\10\3\0\0\0\2\0\0\0\2\0\0\0\1\1\2\3\4' >set/t10k-images-idx3-ubyte
spoilt 3 "t10k-images-idx3-ubyte|another size"
good_set && gzip "$images" && truncate -s -6 "$images.gz"
spoilt 3 "train-images-idx3-ubyte.gz|byte|gzip"
good_set && gzip -n "$images" && printf "\377\377\377\377" | dd of="$images.gz" bs=1 seek=12 conv=notrunc status=none
spoilt 3 "train-images-idx3-ubyte.gz|byte|gzip"
good_set && gzip set/t10k-images-idx3-ubyte
train 3 "t10k-images-idx3-ubyte.gz|byte 0|gunzip|data.in_memory=true" data.source=idx data.dir=set data.in_memory=false
good_set && truncate -s 19 "$images"
train 3 "train-images-idx3-ubyte|byte 4|at most 3 follow" data.source=idx data.dir=set data.in_memory=false
good_set && rm "$images" && mkfifo "$images"
spoilt 3 "train-images-idx3-ubyte|not a regular file"

train 2 "data.source = npy|data.train_images" data.source=npy
train 2 "data.source = npy|data.test_images" data.source=npy data.train_images=a.npy
train 2 "data.train_labels|data.source = mnist|data.source=npy" data.train_labels=a.npy
train 3 "none.npy|No such file" data.source=npy data.train_images=none.npy data.test_images=none.npy
npy() { printf '\223NUMPY\1\0\166\0%-117s\n' "{'descr': '$1', 'fortran_order': $2, 'shape': $3, }"; }
{ npy '|u1' False '(2, 2, 2)' && printf '12345678'; } >good.npy
damaged() { train 3 "bad.npy|at byte|$1" data.source=npy data.train_images=good.npy data.test_images=bad.npy; }
printf '\223NUMPY\1' >bad.npy
damaged "does not begin"
{ npy '|u1' True '(2, 2, 2)' && printf '12345678'; } >bad.npy
damaged "C order"
{ npy '<f8' False '(1, 1)' && printf '12345678'; } >bad.npy
damaged "neither bytes nor float32"
{ npy '|u1' False '(2, 2, 3)' && printf '12345678'; } >bad.npy
damaged "needs 12 bytes"
{ npy '|u1' False '(8,)' && printf '12345678'; } >bad.npy
damaged "shape is (8)"
{ npy '|u1' False '(2, 4)' && printf '12345678'; } >bad.npy
damaged "another size"
{ npy '<f4' False '(1, 2)' && printf '\0\0\0\0\0\0\0\100'; } >bad.npy
damaged "byte 132: the value 2 is not in [0, 1]"

# --- A trained run -------------------------------------------------------------------------------------------------------
"$program" train model.encoder=4 model.decoder=4 train.batch_size=20000 train.epochs=1 --out trained --progress none >trained.out 2>&1 ||
  cat trained.out
for verb in evaluate encode sample export; do
  refused 2 "which run|elbow $verb --help" "$verb"
done
refused 2 "there is no run folder nowhere|elbow train" evaluate nowhere
refused 2 "there is no run folder nowhere|elbow train" encode nowhere --split test --out a.npy
refused 2 "there is no run folder nowhere|elbow train" sample nowhere --out a.npy
refused 2 "there is no run folder nowhere|elbow train" export nowhere --out a
refused 2 "set is not a run folder|config.cfg" evaluate set
refused 2 "unknown flag --importance-sample|did you mean --importance-samples" evaluate trained --importance-sample 3
refused 2 "--importance-samples = 'many'|0 to 1000000" evaluate trained --importance-samples many
refused 2 "--examples|--importance-samples K" evaluate trained --examples 3
refused 2 "--examples = '0'|from 1" evaluate trained --examples 0 --importance-samples 3
refused 2 "--out|--importance-samples K" evaluate trained --out a.npy
refused 2 "--out = 'a.txt'|.npy" evaluate trained --importance-samples 1 --out a.txt
refused 2 "--split = 'tset'|did you mean test|train, validation, test" evaluate trained --split tset
refused 2 "--split validation|data.validation = 0" evaluate trained --split validation
refused 2 "--checkpoint = 'newest'|best, latest" evaluate trained --checkpoint newest
refused 2 "--checkpoint 7|it has 3" evaluate trained --checkpoint 7
refused 2 "'objective.kl_wt=1'|cannot change|train.threads" evaluate trained objective.kl_wt=1
refused 2 "what to encode|--data" encode trained --out a.npy
refused 2 "--data and --split exclude" encode trained --data good.npy --split test --out a.npy
refused 2 "--out is missing|elbow encode --help" encode trained --split test
refused 2 "--out = 'a.png'|.npy or .csv" encode trained --split test --out a.png
refused 3 "good.npy does not fit the model|4 values|28 x 28 x 1 = 784" encode trained --data good.npy --out a.npy
refused 3 "none.npy|No such file" encode trained --data none.npy --out a.npy
refused 2 "--kind = 'priro'|did you mean prior" sample trained --kind priro --out a.npy
refused 2 "--count = '0'|from 1" sample trained --count 0 --out a.npy
refused 2 "--count 30000|has 10000|fewer" sample trained --kind reconstruction --count 30000 --out a.npy
refused 2 "--out = 'a.jpg'|.npy or .png" sample trained --out a.jpg
refused 2 "pixels|at most 32767|fewer|.npy" sample trained --kind interpolation --count 10000 --out a.png
refused 2 "cannot write nowhere/a.png|--out" sample trained --out nowhere/a.png
refused 2 "cannot create the folder|--out" export trained --out file/out
mkdir -p empty && cp trained/config.cfg empty
refused 2 "empty has no checkpoint" evaluate empty
cp -r trained unfinished && rm unfinished/result.json
refused 2 "result.json|--checkpoint latest" evaluate unfinished --checkpoint best
cp -r trained damaged && truncate -s 100 damaged/checkpoints/*/model.safetensors
refused 4 "model.safetensors|byte" evaluate damaged
cp -r trained other && sed -i 's/^latent = .*/latent = 3/' other/config.cfg
refused 4 "model.safetensors does not fit|encoder.mean.weight|[3, 4]" evaluate other

# --- Conditions ----------------------------------------------------------------------------------------------------------
train 2 "model.condition = class|label, attributes, mask" model.condition=class
train 2 "cuts the condition from the decoder|model.condition_into=both|model.kind=bottleneck" model.condition=label \
  model.condition_into=encoder
train 2 "model.kind = regressor|model.condition = none" model.kind=regressor
train 2 "model.kind = bottleneck|model.network = conv" model.kind=bottleneck model.condition=label model.network=conv
train 2 "model.condition = mask|needs data.mask|column:13" model.condition=mask
train 2 "data.mask = column:13|has no effect|model.condition=mask" data.mask=column:13
train 2 "data.mask = column:28|28 x 28|column:N" model.condition=mask data.mask=column:28
train 2 "data.mask = diagonal|no part of a picture|quadrants" model.condition=mask data.mask=diagonal
train 2 "data.mask = box:0:0:28:28|nothing is left" model.condition=mask data.mask=box:0:0:28:28
train 2 "model.path = 8|has no effect|model.condition" model.path=8
train 2 "model.join_layer = 2|has no effect|model.join=add" model.condition=label model.join_layer=2
train 2 "model.join = add|model.path has none" model.condition=label model.join=add
train 2 "of width 8|decoder's first, of 500" model.condition=label model.join=add model.path=8
train 2 "model.join_layer = 3|both have" model.condition=label model.join=add model.path=9,500 model.join_layer=3
train 2 "of width 9|encoder's layer 1, of 500" model.condition=label model.join=add model.path=9,500
train 2 "model.condition_dropout = 1|below 1" model.condition=label model.condition_dropout=1
train 2 "model.prior = learned|has no effect|model.condition" model.prior=learned
train 2 "model.prior|model.posterior|exclude" model.condition=label model.prior=learned model.posterior=softplus
train 2 "model.kind|objective.kind|no latents" model.kind=regressor model.condition=label objective.kind=iwae
train 2 "data.train_attributes|data.test_attributes|give both" model.condition=attributes data.train_attributes=a.npy
train 2 "needs data.train_attributes" model.condition=attributes
train 3 "a.npy|No such file" model.condition=attributes data.train_attributes=a.npy data.test_attributes=a.npy
train 3 "good.npy does not fit|1 or 2 dimensions" model.condition=attributes data.train_attributes=good.npy \
  data.test_attributes=good.npy
train 2 "needs labels|data.train_labels" data.source=npy data.train_images=good.npy data.test_images=good.npy model.condition=label
refused 2 "--condition label=3|model.condition = none" sample trained --condition label=3 --out a.npy
refused 2 "--condition|--kind prior" sample trained --kind traversal --condition label=3 --out a.npy
refused 2 "--complete|leave --condition" sample trained --complete a.npy --condition label=3 --out a.npy
refused 2 "--regressor|--kind completion" sample trained --regressor trained --out a.npy
refused 2 "--out = 'a.txt'|.npy or .png" sample trained --out a.txt

# --- Under MPI -----------------------------------------------------------------------------------------------------------
# Two ranks say it once, and leave with the same code.
on_two_ranks() {  # CODE WORDS ARGUMENT...
  start=$launcher refused "$1" "$2" -n 2 "${@:3}"
}
on_two_ranks 2 "unknown command 'trian'" trian
on_two_ranks 2 "unknown flag --prgress|did you mean --progress" train --prgress bar
on_two_ranks 2 "unknown key objective.klwt|did you mean objective.kl_wt" train objective.klwt=1 --out run
on_two_ranks 2 "train.epochs = 0|out of range" train train.epochs=0 --out run
on_two_ranks 2 "there is no configuration file|none.cfg" train none.cfg --out run
on_two_ranks 2 "old|holds a run|--resume|--out" train --out old
on_two_ranks 2 "train.leaves = 1|2 ranks" train train.reproducible=exact train.leaves=1 --out run
on_two_ranks 2 "there is no run folder nowhere" evaluate nowhere
on_two_ranks 4 "model.safetensors|byte" evaluate damaged
on_two_ranks 3 "good.npy does not fit the model" encode trained --data good.npy --out a.npy
good_set && truncate -s 18 "$images"
on_two_ranks 3 "train-images-idx3-ubyte|byte" train data.source=idx data.dir=set --out run
good_set && rm "$labels"
on_two_ranks 3 "train-labels-idx1-ubyte|No such file" train data.source=idx data.dir=set --out run

if [[ -e run ]]; then
  echo "FAILED: a refused run left a folder behind"
  failures=$((failures + 1))
fi
echo "$count inputs, $failures failed"
((failures == 0))
