#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Teaches the tiny world's curriculum under mpirun with 2 ranks: examples/tiny/demo.sh BUILD_FOLDER (make demo calls it).
set -euo pipefail
build=${1:?build folder}
here=$(cd "$(dirname "$0")" && pwd)
work="$here/../../build/tiny"
mkdir -p "$work"
if [ ! -f "$work/world/complete" ]; then
  "$build/examples/tiny/make_world" --out "$work/world" --digits "$here/digits.txt"
  touch "$work/world/complete"
fi
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
mpirun -np 2 --oversubscribe "$build/launch/retain" run "$here/demo.toml" --log "$work/demo-steps.jsonl"
"$build/launch/retain" report "$work/demo-store" -o "$work/report.html"
printf '\nreport: %s\n' "$(cd "$work" && pwd)/report.html"
