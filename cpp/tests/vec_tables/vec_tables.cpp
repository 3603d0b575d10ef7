// Which Vec test tables this build has and this machine runs.
// SPDX-License-Identifier: Apache-2.0
#include "vec_table.h"

#include <stdio.h>
#include <string.h>

#include "isa/detect.h"
#include "kernels/choose.h"

#define GRUCORE_ISA_ROW(name, number, numerics, architecture, feature) \
  namespace grucore::detail::name {                                    \
  extern const grucore_test::VecTable kVecTable;                       \
  }
#include "grucore/isa_list.inc"
#undef GRUCORE_ISA_ROW

namespace grucore_test {

const char* const kVecOpNames[kVecOpCount] = {
#define X(name, expression) #name,
#include "vec_ops.inc"
#undef X
};

const VecTable* const* vec_tables() {
  static const VecTable* tables[grucore::kIsaCount + 1];
  const grucore::detail::CpuFeatures features = grucore::detail::detect_cpu();
  uint32_t count = 0;
  tables[count++] = &grucore::detail::scalar::kVecTable;
  const auto add = [&](const VecTable& table, bool runs) {
    if (runs && &table != tables[0]) tables[count++] = &table;
  };
#define GRUCORE_ISA_ROW(name, number, numerics, architecture, feature) \
  GRUCORE_WHERE(architecture, add(grucore::detail::name::kVecTable, features.feature);)
#include "grucore/isa_list.inc"
#undef GRUCORE_ISA_ROW
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
