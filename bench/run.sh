#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the benchmarks of one build folder:   bench/run.sh build/bench
# Comparison with other programs needs them: see bench/peers.py, bench/images.py and bench/tokenizer.py.
set -eu
programs=${1:?"usage: bench/run.sh BUILD"}/bench
for program in images tokenizer store; do
  printf '\n== %s\n' "$program"
  "$programs/bench_$program"
done
printf '\n== communicator, 2 ranks\n'
mpirun --oversubscribe --bind-to none -np 2 "$programs/bench_communicator"
