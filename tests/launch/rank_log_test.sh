#!/usr/bin/env bash
# Rank 0 alone tells how a run goes; every rank keeps a log of its own, which --verbose shows.
#   rank_log_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 400 64
recipe=(train data.source=idx data.dir="$folder/digits" model.encoder=16 model.decoder=16 train.threads=1 train.epochs=2
  --progress plain)
host=$(hostname)

"$launcher" -n 3 "${recipe[@]}" --out run >out 2>err
check "the run is done" same "$?" 0
check "each epoch is told once" same "$(grep -c '^epoch' out)" 2
check "nothing else comes from the ranks" fails matches err "rank [0-9]"
check "each rank has a log" same "$(ls run/logs)" "rank_0000.log
rank_0001.log
rank_0002.log"
line="^20[0-9-]{8}T[0-9:]{8}\.[0-9]{3}Z $host rank 2 \+[0-9]+\.[0-9]{3}s  "
check "its lines name time, host and rank" same "$(grep -vcE "$line" run/logs/rank_0002.log)" 0
for sentence in "rank 2 of 3 is up" "has the data: 400 examples" "computes on cpu" "trains from step 0" "epoch 2 is done, at step 8" \
  "leaves with exit code 0"; do
  check "it tells '$sentence'" contains run/logs/rank_0002.log "$sentence"
done
"$launcher" -n 2 resume run train.epochs=3 --progress plain --verbose >out 2>err
check "a resumed run's lines are added" same "$(grep -c 'is up' run/logs/rank_0001.log)" 2
check "--verbose shows those of all ranks" same "$(grep -cE ' rank [01] .* trains from step 8' err)" 2
check "and leaves standard output alone" fails contains out "trains from"
"$program" "${recipe[@]}" --out alone --verbose >out 2>err
check "one process shows them too" contains err "rank 0 of 1 is up"
check "and keeps none" fails test -e alone/logs
finish
