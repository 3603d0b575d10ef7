#!/usr/bin/env bash
# Every kernel table and every layer must refuse a compiler that may reorder float arithmetic.
# SPDX-License-Identifier: Apache-2.0
# Usage: fast_math.sh COMPILER
set -euo pipefail
cpp=$(cd "$(dirname "$0")/.." && pwd)
count=0
for flag in -ffast-math -ffinite-math-only; do
  for source in "$cpp"/src/kernels/tables/*.cpp "$cpp"/src/layers/*.cpp; do
    if said=$("$1" -std=c++17 $flag -I"$cpp/include" -I"$cpp/src" -fsyntax-only "$source" 2>&1); then
      echo "$source compiles with $flag"
      exit 1
    fi
    grep -q 'grucore promises the same bits everywhere' <<< "$said" || { echo "$said" | head; exit 1; }
    count=$((count + 1))
  done
done
echo "$count refusals"
