# Runs that something is done to, and what they are compared with.   source it after support/shell.sh
#
# A moment is a step, not a time: a fast machine would have ended before it.
# shellcheck shell=bash disable=SC2034,SC2154

# disturbed_recipe TEST   sets `recipe`, a run in exact mode with everything that a state can hold, of 47 steps an epoch, and
# `saves`, which saves it often. Makes the data, with so many test examples; more make evaluations longer.
disturbed_recipe() {
  few_digits digits 1500 "$1"
  recipe=("$repository/configs/kl_vae.cfg" data.source=idx data.dir="$folder/digits" data.binarise=stochastic model.encoder=64
    model.decoder=64 train.batch_size=32 train.leaves=4 train.shuffle=true objective.anneal=linear objective.anneal_steps=100
    optimizer.kind=adam train.reproducible=exact train.threads=1 --progress none)
  saves=(checkpoint.every_steps=3 checkpoint.keep_last=3)
  steps_per_epoch=47
}

ranks_of() { own_processes "train .*--out $1\$"; }  # RUN
none_left() { [[ -z $(ranks_of "$1") ]]; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }
saved_step() {  # 0 where nothing is saved
  local newest
  newest=$(newest_of "$1" 2>/dev/null)
  newest=${newest##*_}
  echo $((10#${newest:-0}))
}
passed() { [[ -e $1/result.json ]] || (($(saved_step "$1") >= $2)); }

# is_undisturbed RUN   has the weights and the metrics of `whole`.
is_undisturbed() { [[ $(weights_of "$1") == "$(weights_of whole)" && $(metrics_of "$1") == "$(metrics_of whole)" ]]; }
leftovers_of() { find "$1" -name '*.tmp*' -o -name '.tmp_*'; }
