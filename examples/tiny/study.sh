#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The study over the tiny world, then the curriculum of twenty tasks; run again after any stop, it goes on where it was:
# examples/tiny/study.sh BUILD_FOLDER (make study calls it). Takes hours; `nice` it where others work.
set -euo pipefail
build=$(cd "${1:?build folder}" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work="$root/build/tiny"
retain="$build/launch/retain"
mkdir -p "$work"
if [ ! -f "$work/world/complete-study" ]; then
  "$build/examples/tiny/make_world" --out "$work/world" --digits "$here/digits.txt" --study
  touch "$work/world/complete" "$work/world/complete-study"
fi
if [ ! -f "$work/long20/complete" ]; then
  python3 "$root/examples/long_curriculum/make_curriculum.py" "$work/world" "$work/long20" --tasks 20
  touch "$work/long20/complete"
fi
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

# teach NAME EXPERIMENT STORE: samples of memory, descriptors and the store's size are kept beside it (tests/soak.py judge).
teach() {
  python3 "$root/tests/soak.py" watch "$work/$1-soak.jsonl" "$3" -- \
    mpirun -np "${RANKS:-2}" --oversubscribe --mca mpi_yield_when_idle 1 "$retain" run "$2"
}
teach study "$here/study.toml" "$work/study-store"
teach long20 "$work/long20/curriculum.toml" "$work/long20/store"
"$retain" report "$work/study-store" "$work/long20/store" --study -o "$work/study.md"
printf '\nstudy: %s\n' "$work/study.md"
