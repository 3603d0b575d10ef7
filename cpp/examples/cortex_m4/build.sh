#!/usr/bin/env bash
# Builds the engine and this example for a Cortex-M4, bounds its size, and runs it under QEMU.
# SPDX-License-Identifier: Apache-2.0
# Usage: build.sh FOLDER [KIND [SHAPE]]   (where small_model.h is, or will be made with the host's compiler)
#   KIND, SHAPE: of cpp/tests/make_model.cpp
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cpp=$(cd "$here/../.." && pwd)
out=${1:?usage: build.sh FOLDER [KIND [SHAPE]]}
kind=${2:-float32}
shape=${3:-small}
mkdir -p "$out/objects"

# What of the engine the model uses (cpp/src/kernels/parts.h); the rest stays out of the image.
case $kind in
  float32) weights="use(kFloat32)" ;;
  int8 | int8x8) weights="use(kInt8)" ;;
  *) weights="use(kFloat32) use(kFloat16) use(kInt8) use(kInt4)" ;;
esac
case $shape in
  spotter) cells="use(kResetAfter)" layers="kGruLayer kDenseLayer" ;;
  *) cells="use(kResetAfter) use(kResetBefore)" layers="kGruLayer kDenseLayer kTakeLayer" ;;
esac
cat > "$out/config.h" << CONFIG
#define GRUCORE_ONLY_SCALAR
#define GRUCORE_WEIGHTS(use) $weights
#define GRUCORE_ACTIVATIONS(use) use(kSigmoid) use(kTanh)
#define GRUCORE_CELLS(use) $cells
#define GRUCORE_NO_LOOPS
#define GRUCORE_LAYER_LIST "layers.inc"
CONFIG
printf 'GRUCORE_LAYER(%s)\n' $layers > "$out/layers.inc"

# Bounds, so that growth is noticed: bytes of engine and example, of the deepest stack and of all RAM, instructions of
# a frame.
max_stack=1300 max_ram=12000 max_engine=30000 max_instructions=1000000
case $shape.$kind in
  spotter.float32) max_ram=4500 max_engine=18700 max_instructions=70000 ;;
  spotter.int8 | spotter.int8x8) max_ram=5000 max_engine=20000 max_instructions=58000 ;;
esac

if [ ! -f "$out/small_model.h" ]; then
  find "$cpp/src" -name '*.cpp' -exec "${CXX:-c++}" -std=c++17 -O1 -ffp-contract=off -fno-rtti -I"$cpp/include" \
    -I"$cpp/src" -I"$cpp/tests/support" -o "$out/make_model" "$cpp/tests/make_model.cpp" {} +
  "$out/make_model" "$out/small_model.h" "$kind" "$shape"
fi

target=(-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16)
flags=("${target[@]}" -std=c++17 -ffreestanding -ffp-contract=off -fno-exceptions -fno-rtti
  -fno-threadsafe-statics -fno-unwind-tables -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections
  -Wall -Wextra -Wdouble-promotion '-DGRUCORE_CONFIG="config.h"' -I"$here" -I"$cpp/include" -I"$cpp/src" -I"$out")

objects=()
while read -r source; do
  object=$out/objects/$(tr / _ <<< "${source#"$cpp"/src/}").o  # two folders may have a file of one name
  # What a frame takes is in the kernels: they are worth the flash of -O2.
  case $source in */kernels/*) size=-O2 ;; *) size=-Os ;; esac
  arm-none-eabi-g++ "${flags[@]}" $size -c "$source" -o "$object"
  objects+=("$object")
done < <(find "$cpp/src" -name '*.cpp' ! -name c_api.cpp)

# Of the C library: mem* and nothing else.
arm-none-eabi-g++ "${flags[@]}" -Os -nostdlib -T "$here/mps2_an386.ld" -Wl,--gc-sections -Wl,-Map="$out/m4.map" \
  "$here/start.cpp" "$here/main.cpp" "${objects[@]}" -lc_nano -lgcc -o "$out/m4.elf"

model_bytes=$(grep -o 'small_model\[[0-9]*\]' "$out/small_model.h" | tr -dc 0-9)
read -r text data bss _ < <(arm-none-eabi-size "$out/m4.elf" | tail -1)
engine=$((text + data - model_bytes))
printf "%-22s%s\n" "flash" $((text + data)) "  of it the model" "$model_bytes" "  engine and example" "$engine" \
  "static RAM" $((data + bss)) | tee "$out/m4.txt"

# The text of semihosting comes on QEMU's standard error. With -icount its clock counts instructions.
qemu-system-arm -M mps2-an386 -icount shift=0 -nographic -monitor none -serial none \
  -semihosting-config enable=on,target=native -kernel "$out/m4.elf" 2>&1 | tee -a "$out/m4.txt"
grep -qx ok "$out/m4.txt"

of() { awk -v name="$1" '$1 == name { print $2 }' "$out/m4.txt"; }
at_most() { # NAME NUMBER BOUND
  [ "$2" -le "$3" ] || { echo "$1: $2, more than $3"; exit 1; }
}
at_most "bytes of engine and example" "$engine" $max_engine
at_most "bytes of stack" "$(of stack)" $max_stack
at_most "bytes of arenas and stack" $(($(of stack) + $(of model_arena) + $(of stream_arena))) $max_ram
at_most "instructions of a frame" "$(of instructions/frame)" $max_instructions
# A loop of two million instructions, so that a clock that counts something else is noticed.
at_most "instructions of the loop" "$(of calibration)" 2002000
at_most "instructions of the loop" $((4000000 - $(of calibration))) 2002000
