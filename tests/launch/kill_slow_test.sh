#!/usr/bin/env bash
# kill_test.sh with 200 kills from another seed.    kill_slow_test.sh PROGRAM LAUNCHER
ELBOW_KILL_CYCLES=${ELBOW_KILL_CYCLES:-200} ELBOW_KILL_SEED=${ELBOW_KILL_SEED:-2} \
  exec bash "$(dirname "$0")/kill_test.sh" "$@"
