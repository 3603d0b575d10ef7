#!/usr/bin/env bash
# The test of bits with the vectors of RISC-V, of 128 and of 256 bits, under qemu.
# SPDX-License-Identifier: Apache-2.0
# Usage: run.sh FOLDER   (needs qemu-riscv64-static, and zig as a compiler: pip install ziglang)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cpp=$(cd "$here/../.." && pwd)
mkdir -p "$1/objects"
out=$(cd "$1" && pwd)

compiler=(python3 -m ziglang c++ -target riscv64-linux-musl -mcpu=baseline_rv64+v -std=c++17 -g0 -ffp-contract=off
  -fno-exceptions -fno-rtti -Wall -Wextra -Werror "-I$cpp/include" "-I$cpp/src" "-I$cpp/tests/support")

# shellcheck disable=SC2016
find "$cpp/src" -name '*.cpp' | xargs -P "$(nproc)" -I{} sh -c '
  source=$0 out=$1
  shift
  case $source in */tables/*) level=-O2 ;; *) level=-O1 ;; esac
  "$@" $level -c "$source" -o "$out/$(echo "$source" | tr / _).o"' {} "$out/objects" "${compiler[@]}"
"${compiler[@]}" -O1 "$cpp/tests/bits_dump.cpp" "$out"/objects/*.o -static -o "$out/bits_dump"

check() { # BITS CLASS
  qemu-riscv64-static -cpu "rv64,v=true,vlen=$1,vext_spec=v1.0" "$out/bits_dump" --check "$2" \
    "$cpp/tests/golden/bits_$2.txt" | tee "$out/said"
  # The plain table and that of vectors.
  ! grep -q "^1 tables" "$out/said"
}
check 128 fused
check 256 exact
