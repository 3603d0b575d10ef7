#!/usr/bin/env bash
# The audio example between its two marks: no allocation, no lock, no system call; and the sound that it should give.
# SPDX-License-Identifier: Apache-2.0
# Usage: run.sh AUDIO PLUCK COUNTING.so MODEL.gru FOLDER
set -euo pipefail
audio=$1 pluck=$2 counting=$3 model=$4 folder=$5
mkdir -p "$folder"
"$pluck" "$folder/in.wav"

LD_PRELOAD=$counting "$audio" "$model" "$folder/in.wav" "$folder/out.wav" 2> "$folder/said.txt"
grep -qx 'calls 0' "$folder/said.txt"
echo "allocations and locks between the marks: 0"

if ! command -v strace > /dev/null; then
  [ "${GRUCORE_REQUIRE_FREESTANDING:-}" != 1 ] || { echo "strace is missing"; exit 1; }
  exit 0
fi
strace -f -o "$folder/strace.txt" "$audio" "$model" "$folder/in.wav" "$folder/out.wav" 2> /dev/null
between=$(awk '/callbacks begin/ { inside = 1; next } /callbacks end/ { print count + 0; exit } inside { ++count; print > "/dev/stderr" }' \
  "$folder/strace.txt")
[ "$between" = 0 ] || { echo "system calls between the marks: $between"; exit 1; }
echo "system calls between the marks: 0"

python3 - "$folder/in.wav" "$folder/out.wav" << 'PYTHON'
import math, struct, sys

def samples(path):
    data = open(path, "rb").read()[44:]
    return struct.unpack(f"<{len(data) // 4}f", data)

x, y = samples(sys.argv[1]), samples(sys.argv[2])
assert len(x) == len(y) and all(map(math.isfinite, y))
rate = 48000
loud = lambda part: math.sqrt(sum(v * v for v in part) / len(part))
# The string comes out louder than it went in, and the silence after it is silent, the broken sample notwithstanding.
print(f"string {loud(x[:rate]):.3f} -> {loud(y[:rate]):.3f}, silence {loud(y[-rate // 8:]):.5f}")
assert loud(y[:rate]) > 2 * loud(x[:rate]) and loud(y[-rate // 8 :]) < 0.02
PYTHON
