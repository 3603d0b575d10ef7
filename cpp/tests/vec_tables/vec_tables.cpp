// Which Vec test tables this build has and this machine runs.
// SPDX-License-Identifier: Apache-2.0
#include "vec_table.h"

#include <stdio.h>
#include <string.h>

#define GRUCORE_TEST_DECLARE(isa)                \
  namespace grucore::detail::isa {               \
  extern const grucore_test::VecTable kVecTable; \
  }

GRUCORE_TEST_DECLARE(scalar)
GRUCORE_TEST_DECLARE(scalar_muladd)
GRUCORE_TEST_DECLARE(sse41)
GRUCORE_TEST_DECLARE(avx2)
GRUCORE_TEST_DECLARE(avx512)
GRUCORE_TEST_DECLARE(neon)

namespace grucore_test {

const char* const kVecOpNames[kVecOpCount] = {
#define X(name, expression) #name,
#include "vec_ops.inc"
#undef X
};

const VecTable* const* vec_tables() {
  static const VecTable* tables[7];
  int count = 0;
  tables[count++] = &grucore::detail::scalar::kVecTable;
  tables[count++] = &grucore::detail::scalar_muladd::kVecTable;
#if GRUCORE_TEST_X86
  if (__builtin_cpu_supports("sse4.1")) tables[count++] = &grucore::detail::sse41::kVecTable;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
    tables[count++] = &grucore::detail::avx2::kVecTable;
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq")) {
    tables[count++] = &grucore::detail::avx512::kVecTable;
  }
#endif
#if GRUCORE_TEST_NEON
  tables[count++] = &grucore::detail::neon::kVecTable;
#endif
  tables[count] = nullptr;
  return tables;
}

int missing_vec_tables(int count, const char* const* names) {
  int missing = 0;
  for (int i = 0; i < count; ++i) {
    bool found = false;
    for (const VecTable* const* table = vec_tables(); *table != nullptr; ++table) {
      found = found || strcmp((*table)->name, names[i]) == 0;
    }
    if (!found) printf("table %s: not in this build, or not for this machine\n", names[i]);
    missing += found ? 0 : 1;
  }
  return missing;
}

}  // namespace grucore_test
