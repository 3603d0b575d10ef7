#!/usr/bin/env bash
# Builds the engine and this example for a Cortex-M4, bounds its size, and runs it under QEMU.
# SPDX-License-Identifier: Apache-2.0
# Usage: build.sh FOLDER [int8]   (where small_model.h is, or will be made with the host's compiler)
# With int8 the model has int8 weights, and the engine what they need; else float32 is all that it runs.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cpp=$(cd "$here/../.." && pwd)
out=${1:?usage: build.sh FOLDER [int8]}
kind=${2:-float32}
mkdir -p "$out/objects"

# Bounds, so that growth is noticed: bytes of the engine, and of the deepest stack.
max_stack=3072
case $kind in
  float32) max_engine=48000 weights=-DGRUCORE_ONLY_FLOAT32 ;;
  int8) max_engine=64000 weights= ;;
  *) echo "weights $kind: expected float32 or int8" && exit 2 ;;
esac

if [ ! -f "$out/small_model.h" ]; then
  "${CXX:-c++}" -std=c++17 -O1 -ffp-contract=off -fno-rtti -I"$cpp/include" -I"$cpp/src" -I"$cpp/tests" \
    "$cpp/tests/make_model.cpp" $(find "$cpp/src" -name "*.cpp") -o "$out/make_model"
  "$out/make_model" "$out/small_model.h" ${2:+int8}
fi

target=(-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16)
flags=("${target[@]}" -std=c++17 -Os -ffreestanding -ffp-contract=off -fno-exceptions -fno-rtti
  -fno-threadsafe-statics -fno-unwind-tables -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections
  -Wall -Wextra -Wdouble-promotion -DGRUCORE_ONLY_SCALAR ${weights:+"$weights"} '-DGRUCORE_LAYER_LIST="layers.inc"' -I"$here" -I"$cpp/include" -I"$cpp/src" -I"$out")

objects=()
for source in $(find "$cpp/src" -name "*.cpp"); do
  [ "$(basename "$source")" = c_api.cpp ] && continue
  object=$out/objects/$(tr / _ <<< "${source#"$cpp"/src/}").o  # two folders may have a file of one name
  arm-none-eabi-g++ "${flags[@]}" -c "$source" -o "$object"
  objects+=("$object")
done

# Of the C library: mem* and nothing else.
arm-none-eabi-g++ "${flags[@]}" -nostdlib -T "$here/mps2_an386.ld" -Wl,--gc-sections -Wl,-Map="$out/m4.map" \
  "$here/start.cpp" "$here/main.cpp" "${objects[@]}" -lc_nano -lgcc -o "$out/m4.elf"

model_bytes=$(grep -o 'small_model\[[0-9]*\]' "$out/small_model.h" | tr -dc 0-9)
read -r text data bss _ < <(arm-none-eabi-size "$out/m4.elf" | tail -1)
engine=$((text + data - model_bytes))
printf "%-22s%s\n" "flash" $((text + data)) "  of it the model" "$model_bytes" "  engine and example" "$engine" \
  "static RAM" $((data + bss))
if [ "$engine" -gt $max_engine ]; then
  echo "engine and example take $engine bytes of flash, more than $max_engine"
  exit 1
fi

# The text of semihosting comes on QEMU's standard error.
qemu-system-arm -M mps2-an386 -nographic -monitor none -serial none \
  -semihosting-config enable=on,target=native -kernel "$out/m4.elf" 2>&1 | tee "$out/m4.txt"
grep -qx ok "$out/m4.txt"
stack=$(awk '$1 == "stack" { print $2 }' "$out/m4.txt")
if [ "$stack" -gt $max_stack ]; then
  echo "the stack grew to $stack bytes, more than $max_stack"
  exit 1
fi
