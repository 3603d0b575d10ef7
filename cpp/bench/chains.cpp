// Shows what a step waits for. x86 only. Pin it to a core: `taskset -c 1 chains`.
// SPDX-License-Identifier: Apache-2.0
#include "chains.h"

#include <stdio.h>

namespace {

void show(const char* name, const grucore_bench::Chains& of) {
  printf("%s, nanoseconds\n", name);
  printf("  one after the other: multiply-add %.2f, store and load %.2f, sigmoid %.1f, tanh %.1f, cell %.1f\n",
         of.multiply_add, of.store_and_load, of.sigmoid, of.tanh, of.cell);
  printf("  cells of %d units, independent: %.1f each alone, %.1f in pairs, %.1f in fours\n", of.lanes, of.one, of.two,
         of.four);
}

}  // namespace

int main() {
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) show("avx2", grucore_bench::chains_avx2());
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
    show("avx512", grucore_bench::chains_avx512());
  }
  return 0;
}
