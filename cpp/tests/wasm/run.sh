#!/usr/bin/env bash
# The tests of bits and of vectors as WebAssembly under node, with simd128 and without.
# SPDX-License-Identifier: Apache-2.0
# Usage: run.sh FOLDER   (needs node, and zig as a compiler: pip install ziglang)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cpp=$(cd "$here/../.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
jobs=$(nproc)

compiler=(python3 -m ziglang c++ -target wasm32-wasi -std=c++17 -O2 -g0 -ffp-contract=off -fno-exceptions -fno-rtti
  -Wall -Wextra -Werror "-I$cpp/include" "-I$cpp/src" "-I$cpp/tests/support" "-I$cpp/tests/vec_tables")

compile() { # FOLDER FLAGS SOURCE...
  local folder=$1 flags=$2
  shift 2
  mkdir -p "$out/$folder"
  # shellcheck disable=SC2016,SC2086
  printf '%s\n' "$@" | xargs -P "$jobs" -I{} sh -c 'out=$1; shift; "$@" -c "$0" -o "$out/$(echo "$0" | tr / _).o"' \
    {} "$out/$folder" "${compiler[@]}" $flags
}
run() { node --no-warnings "$here/run_wasi.mjs" "$@"; }

mapfile -t engine < <(find "$cpp/src" -name '*.cpp')
for way in simd128 plain; do
  flags=-msimd128
  [ $way = simd128 ] || flags=-mno-simd128
  compile $way "$flags" "${engine[@]}"
  for program in bits_dump quantized_test layers_test; do
    "${compiler[@]}" $flags "$cpp/tests/$program.cpp" "$out/$way"/*.o -o "$out/$way-$program.wasm"
  done
  for class in fused muladd exact; do
    run "$out/$way-bits_dump.wasm" --check $class "$cpp/tests/golden/bits_$class.txt"
  done
  run "$out/$way-quantized_test.wasm"
  run "$out/$way-layers_test.wasm"
done

# The operations of vectors, one by one.
compile vec -msimd128 "$cpp/tests/vec_tables/vec_tables.cpp"
compile vec '-msimd128 -DGRUCORE_TEST_TABLE="vec_table-inl.h"' "$cpp"/src/kernels/tables/{scalar,scalar_muladd,simd128}.cpp
mkdir -p "$out/rest" && rm -f "$out"/rest/* && cp "$out"/simd128/*.o "$out/rest" && rm "$out"/rest/*kernels_tables*
for program in vec_test functions_test; do
  "${compiler[@]}" -msimd128 "$cpp/tests/$program.cpp" "$out"/vec/*.o "$out"/simd128/*.o -o "$out/$program.wasm"
  run "$out/$program.wasm"
done
