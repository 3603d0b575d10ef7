#!/usr/bin/env bash
# Builds and runs programs outside of this repository in every way in which docs/cpp.md says that they can be.
# SPDX-License-Identifier: Apache-2.0
# Usage: consume.sh FOLDER MODEL.gru   (FOLDER is emptied; the model has a test vector)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../../.." && pwd)
model=$(realpath "$2")
rm -rf "$1" && mkdir -p "$1"
out=$(cd "$1" && pwd)
examples=$repository/cpp/examples

say() { printf '\n=== %s\n' "$1"; }

# One table is enough to see that a build works; an installation has them all.
build() { # NAME SOURCE [OPTION...]
  local name=$1 source=$2
  shift 2
  cmake --no-warn-unused-cli -S "$source" -B "$out/$name" -DREPOSITORY="$repository" -DCMAKE_BUILD_TYPE=Release "$@" > "$out/$name.log"
  cmake --build "$out/$name" >> "$out/$name.log" || { tail -30 "$out/$name.log"; exit 1; }
}

# Frames of zeros through a program in C, whose output must be as long as they are many.
stream_zeros() { # PROGRAM
  local inputs=10 outputs=3 frames=5 bytes
  bytes=$(head -c $((inputs * frames * 4)) /dev/zero | "$1" "$model" | wc -c)
  [ "$bytes" -eq $((outputs * frames * 4)) ] || { echo "$1 wrote $bytes bytes"; exit 1; }
  echo "$1: $bytes bytes"
}

say "add_subdirectory, in C++20, under -ffast-math"
build subdirectory "$here/subdirectory" -DGRUCORE_ONLY_SCALAR=ON
"$out/subdirectory/minimal" "$model"

for subdirectory in . cpp; do
  say "FetchContent, SOURCE_SUBDIR $subdirectory"
  build "fetch_$subdirectory" "$here/fetch" -DSUBDIRECTORY=$subdirectory -DGRUCORE_ONLY_SCALAR=ON
  "$out/fetch_$subdirectory/minimal" "$model"
  stream_zeros "$out/fetch_$subdirectory/streaming"
done

for shared in OFF ON; do
  say "an installation, BUILD_SHARED_LIBS=$shared"
  build "engine_$shared" "$repository" -DBUILD_SHARED_LIBS=$shared -DGRUCORE_ONLY_SCALAR=ON
  cmake --install "$out/engine_$shared" --prefix "$out/first_$shared" > /dev/null
  mv "$out/first_$shared" "$out/installed_$shared"  # it may be moved
  prefix=$out/installed_$shared

  say "find_package"
  build "minimal_$shared" "$examples/minimal" -DCMAKE_PREFIX_PATH="$prefix"
  "$out/minimal_$shared/minimal" "$model"
  build "audio_$shared" "$examples/audio" -DCMAKE_PREFIX_PATH="$prefix"
  build "c_$shared" "$examples/c" -DCMAKE_PREFIX_PATH="$prefix"
  stream_zeros "$out/c_$shared/streaming"
  if cmake -S "$here/version" -B "$out/version_$shared" -DCMAKE_PREFIX_PATH="$prefix" > "$out/version.log" 2>&1; then
    echo "find_package(grucore 99) found something"
    exit 1
  fi
  grep -q 'compatible with requested version "99"' "$out/version.log"

  if command -v pkg-config > /dev/null; then
    say "pkg-config"
    export PKG_CONFIG_PATH=$prefix/lib/pkgconfig:$prefix/lib64/pkgconfig:$(echo "$prefix"/lib/*/pkgconfig)
    mkdir "$out/plain_$shared"
    cp "$examples/c/main.c" "$examples/c/Makefile" "$out/plain_$shared"
    library=$(find "$prefix" -name 'libgrucore.*' | head -1)
    make -s -C "$out/plain_$shared" LDFLAGS="-Wl,-rpath,$(dirname "$library")"
    stream_zeros "$out/plain_$shared/streaming"
  elif [ "${GRUCORE_REQUIRE_FREESTANDING:-}" = 1 ]; then
    echo "pkg-config is missing"
    exit 1
  fi
done

say "the shared library"
library=$(find "$out/installed_ON" -name 'libgrucore.so.*.*.*' -o -name 'libgrucore.*.*.*.dylib' | head -1)
case $library in
  *.so.*)
    readelf -d "$library" | grep -E 'SONAME|NEEDED'
    ! readelf -d "$library" | grep -q 'NEEDED.*stdc++'
    # The two interfaces, and nothing of what is behind them.
    exported=$(nm -D --defined-only "$library" | awk '{ print $3 }' | grep -v -E '^(_init|_fini)$')
    ! grep -v -E '^(grucore_|_ZN7grucore)' <<< "$exported"
    ! grep detail <<< "$exported"
    declared=$(grep -c '^GRUCORE_API' "$repository/cpp/include/grucore/grucore_c.h")
    [ "$(grep -c '^grucore_' <<< "$exported")" -eq "$declared" ] || { echo "not $declared of the C interface"; exit 1; }
    ;;
esac
python3 - "$library" "$repository/cpp/include/grucore/version.h" << 'PYTHON'
import ctypes, re, sys
library = ctypes.CDLL(sys.argv[1])
major, minor, patch = (int(n) for n in re.findall(r"VERSION_[A-Z]+ (\d+)$", open(sys.argv[2]).read(), re.M))
assert library.grucore_version() == major * 10000 + minor * 100 + patch
print("dlopen: version", library.grucore_version())
PYTHON
