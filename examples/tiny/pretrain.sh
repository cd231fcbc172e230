#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes the tiny base from random weights; run again after any stop, it goes on where it was:
# examples/tiny/pretrain.sh BUILD_FOLDER [MODEL_FOLDER] (make pretrain calls it).
set -euo pipefail
build=${1:?build folder}
here=$(cd "$(dirname "$0")" && pwd)
work="$here/../../build/tiny"
base=${2:-$work/base}
mkdir -p "$work"
if [ ! -f "$work/world/complete-pretraining" ]; then
  "$build/examples/tiny/make_world" --out "$work/world" --digits "$here/digits.txt" --pretraining
  touch "$work/world/complete" "$work/world/complete-pretraining"
fi
if [ ! -f "$work/start/config.json" ]; then
  "$build/launch/retain" init-model --config "$work/world/model/config.json" --out "$work/start" \
    --scale fan_in --gain 0.8 --embedding-deviation 0.3 --position-deviation 1.5
fi
"$build/launch/retain" run "$here/pretrain.toml" --log "$work/pretrain-steps.jsonl"
if [ ! -f "$base/config.json" ]; then "$build/launch/retain" store export "$work/base-store" full "$base"; fi
printf 'base: %s\n' "$base"
