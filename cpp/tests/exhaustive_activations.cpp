// Each activation and function of functions-inl.h of all 2^32 floats: one table against libm, the others by hash.
// SPDX-License-Identifier: Apache-2.0
// Usage: exhaustive_activations [--function NAME] [--table NAME] [--sample N]    (N: every N-th float; default 1)
#include <cstdlib>

#include "activations_scan.h"

using namespace grucore_test;

namespace {

struct Case {
  const Activation& function;
  uint64_t hash;  // of all floats, made on x86-64: other machines must reproduce it
};

const Case kCases[] = {
    {kActivations[0], 0xae31ebf881207bcau}, {kActivations[1], 0xa385e50a5dc257c2u},
    {kActivations[2], 0xececa53c634d1311u}, {kFunctions[0], 0xc8e570b1de2a2301u},
    {kFunctions[1], 0x9a7efdeb1c0631f5u},   {kFunctions[2], 0xbaa53d65015324e3u},
    {kFunctions[3], 0xdc3e294fb18e4cf7u},
};

const VecTable* find_table(const char* name) {
  for (const VecTable* const* table = vec_tables(); *table != nullptr; ++table) {
    if (std::strcmp((*table)->name, name) == 0) return *table;
  }
  return nullptr;
}

// The last table is the fastest.
const VecTable* last_table() {
  const VecTable* const* table = vec_tables();
  while (table[1] != nullptr) ++table;
  return *table;
}

void print(const VecTable& table, const Activation& f, const ActivationScan& scan) {
  std::printf("%s %s: hash %016llx", table.name, kVecOpNames[f.op], static_cast<unsigned long long>(scan.hash));
}

}  // namespace

int main(int argc, char** argv) {
  const VecTable* checked = last_table();
  const char* only = nullptr;
  uint32_t stride = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--function") == 0) only = argv[i + 1];
    if (std::strcmp(argv[i], "--table") == 0) checked = find_table(argv[i + 1]);
    if (std::strcmp(argv[i], "--sample") == 0) stride = static_cast<uint32_t>(std::strtoul(argv[i + 1], nullptr, 10));
  }
  if (checked == nullptr || stride == 0) {
    std::printf(
        "usage: exhaustive_activations [--function NAME] [--table NAME] [--sample N]; "
        "no such table here, or no sample\n");
    return 2;
  }
  for (const Case& each : kCases) {
    const Activation& f = each.function;
    if (only != nullptr && std::strcmp(only, kVecOpNames[f.op]) != 0) continue;
    const ActivationScan scan = scan_activation(*checked, f, stride, true);
    print(*checked, f, scan);
    std::printf(", at most %.4f ulp, at %a (%.9g)\n", scan.worst_ulp, static_cast<double>(scan.worst_at),
                static_cast<double>(scan.worst_at));
    std::fflush(stdout);
    CHECK(scan.worst_ulp <= f.most_ulp);
    if (stride == 1) CHECK_EQ(scan.hash, each.hash);
    for (const VecTable* const* table = vec_tables(); *table != nullptr; ++table) {
      if (*table == checked) continue;
      const ActivationScan other = scan_activation(**table, f, stride, false);
      print(**table, f, other);
      std::printf("\n");
      std::fflush(stdout);
      CHECK_EQ(other.hash, scan.hash);
    }
  }
  CHECK(checks > 0);
  return finish("exhaustive_activations");
}
