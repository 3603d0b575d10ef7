// exp, sigmoid and tanh of all 2^32 floats: one table against libm in double, the others by hash.
// SPDX-License-Identifier: Apache-2.0
// Usage: exhaustive_activations [--table NAME] [--sample N]    (N: every N-th float; default 1)
#include <cstdlib>

#include "activations_scan.h"

using namespace grucore_test;

namespace {

// Of all floats, made on x86-64: other machines must reproduce them.
constexpr uint64_t kHashes[] = {0xae31ebf881207bcau, 0xa385e50a5dc257c2u, 0xececa53c634d1311u};

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

void print(const VecTable& table, const ActivationScan& scan) {
  std::printf("%s %s: hash %016llx", table.name, kVecOpNames[scan.op], static_cast<unsigned long long>(scan.hash));
}

}  // namespace

int main(int argc, char** argv) {
  const VecTable* checked = last_table();
  uint32_t stride = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const char* value = argv[i + 1];
    if (std::strcmp(argv[i], "--table") == 0) checked = find_table(value);
    if (std::strcmp(argv[i], "--sample") == 0) stride = static_cast<uint32_t>(std::strtoul(value, nullptr, 10));
  }
  if (checked == nullptr || stride == 0) {
    std::printf("usage: exhaustive_activations [--table NAME] [--sample N]; no such table here, or no sample\n");
    return 2;
  }
  for (int i = 0; i < 3; ++i) {
    const VecOp op = kActivations[i];
    const ActivationScan scan = scan_activation(*checked, op, stride, true);
    print(*checked, scan);
    std::printf(", at most %.4f ulp, at %a (%.9g)\n", scan.worst_ulp, static_cast<double>(scan.worst_at),
          static_cast<double>(scan.worst_at));
    std::fflush(stdout);
    CHECK(scan.worst_ulp <= kMostUlp[i]);
    if (stride == 1) CHECK_EQ(scan.hash, kHashes[i]);
    for (const VecTable* const* table = vec_tables(); *table != nullptr; ++table) {
      if (*table == checked) continue;
      const ActivationScan other = scan_activation(**table, op, stride, false);
      print(**table, other);
      std::printf("\n");
      std::fflush(stdout);
      CHECK_EQ(other.hash, scan.hash);
    }
  }
  return finish("exhaustive_activations");
}
