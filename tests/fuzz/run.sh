#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzz target for SECONDS, seeded with the fixtures: tests/fuzz/run.sh BUILD SECONDS
set -euo pipefail
build=$(realpath "${1:?build folder}")
seconds=${2:-60}
fixtures=$(realpath "$(dirname "$0")/../fixtures")
work=$(mktemp -d)
trap 'rm -rf "$work" "${TMPDIR:-/tmp}"/retain-fuzz-*' EXIT
mkdir -p "$work"/{safetensors,tokenizer,config,image,conversation,stage_file,experiment,table}
small() { find "$fixtures" "$fixtures/../../examples" -type f -name "$1" -size -"${2:-64}"k -print0; }
small '*.safetensors' 512 | xargs -0 -I{} cp --backup=numbered {} "$work/safetensors"
small 'tokenizer.json' 512 | xargs -0 -I{} cp --backup=numbered {} "$work/tokenizer"
small 'config.json' | xargs -0 -I{} cp --backup=numbered {} "$work/config"
for kind in png jpg jpeg webp; do small "*.$kind" | xargs -0 -I{} cp --backup=numbered {} "$work/image"; done
small '*.json*' | grep -z -i record | xargs -0 -I{} cp --backup=numbered {} "$work/conversation"
small '*.toml' | xargs -0 -I{} cp --backup=numbered {} "$work/experiment"
for name in 'table.*' 'rows.jsonl'; do small "$name" | xargs -0 -I{} cp --backup=numbered {} "$work/table"; done
status=0
for target in safetensors tokenizer config image conversation stage_file experiment table; do
  echo "== $target"
  (cd "$work" && UBSAN_OPTIONS=print_stacktrace=1 "$build/tests/fuzz/fuzz_$target" -max_total_time="$seconds" \
    -rss_limit_mb=3000 -malloc_limit_mb=1500 -timeout=20 -print_final_stats=1 -verbosity=0 "$target") || status=1
done
find "$work" -maxdepth 1 -name 'crash-*' -o -maxdepth 1 -name 'oom-*' -o -maxdepth 1 -name 'timeout-*' | while read -r found; do
  cp "$found" "$build/" && echo "kept $build/$(basename "$found")"
done
exit $status
