#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# House rules that a text search can see: floors, file length, licence lines, preprocessor switches in headers.
set -euo pipefail
cd "$(dirname "$0")/.."
failures=0
fail() { printf 'checks: %s\n' "$*" >&2; failures=$((failures + 1)); }

sources() { find "$@" -type f \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' \) 2>/dev/null | sort; }

# Includes point down only.
floors=(framework parallel models recipes launch)
for low in "${!floors[@]}"; do
  for high in "${!floors[@]}"; do
    [ "$high" -gt "$low" ] || continue
    while IFS= read -r hit; do fail "upward include: $hit"; done < <(
      grep -rnE "#include +[\"<]${floors[$high]}/" "${floors[$low]}" --include='*.h' --include='*.cpp' || true)
  done
done
while IFS= read -r hit; do fail "torch in the framework: $hit"; done < <(
  grep -rnE '#include +[<"](ATen|torch|c10)/' framework || true)

while IFS= read -r file; do
  lines=$(wc -l < "$file")
  [ "$lines" -le 500 ] || fail "$file has $lines lines; the limit is 500"
done < <(sources framework parallel models recipes launch tests bench examples)

while IFS= read -r file; do
  head -2 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || fail "$file has no SPDX line"
done < <({ sources framework parallel models recipes launch tests bench examples
          find . -path ./build -prune -o \( -name CMakeLists.txt -o -name '*.cmake' -o -name '*.sh' -o -name '*.py' \) -print; } | sort -u)

while IFS= read -r hit; do fail "preprocessor switch in a header: $hit"; done < <(
  find framework parallel models recipes launch -name '*.h' -exec grep -nHE '^ *# *if' {} + || true)

[ "$failures" -eq 0 ] || { printf 'checks: %d rule(s) broken\n' "$failures" >&2; exit 1; }
printf 'checks: floors, lengths, licences and headers keep the house rules\n'
