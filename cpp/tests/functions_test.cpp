// expm1, log, log1p and erf: special values, a sample of all floats, and the same bits from every table and machine.
// The square root by digits, which few machines need, against the machine's own.
// SPDX-License-Identifier: Apache-2.0
// Usage: functions_test [table that must run]...
#include "activations_scan.h"

#include "kernels/tables/target_region.h"
#define GRUCORE_ISA functions_test
#include "kernels/vec/square_root.h"

using namespace grucore_test;

namespace {

constexpr uint32_t kStride = 251;

// Sums over every kStride-th float, made on x86-64: other machines must reproduce them.
constexpr uint64_t kSampleHashes[] = {0x2dc9106dbbae644au, 0xb4715db2ece7728du, 0x38e84de408371813u,
                                      0xaf7bbb9091cbaf35u};

const Special kSpecial[] = {
    {k_expm1, 0.0f, 0.0f},
    {k_expm1, -0.0f, 0.0f},
    {k_expm1, 0x1p-149f, 0.0f},
    {k_expm1, -0x1.fffffcp-127f, 0.0f},
    {k_expm1, 0x1p-126f, 0x1p-126f},
    {k_expm1, -0x1.fffffep-126f, -0x1.fffffep-126f},
    {k_expm1, 0x1.234p-41f, 0x1.234p-41f},
    {k_expm1, -0x1.234p-39f, -0x1.234p-39f},
    {k_expm1, -17.5f, -1.0f},
    {k_expm1, -88.0f, -1.0f},
    {k_expm1, -0x1.fffffep127f, -1.0f},
    {k_expm1, -kInfinity, -1.0f},
    {k_expm1, 88.8f, kInfinity},
    {k_expm1, 90.0f, kInfinity},
    {k_expm1, 0x1.fffffep127f, kInfinity},
    {k_expm1, kInfinity, kInfinity},
    {k_expm1, kNan, kNan},
    {k_log, 1.0f, 0.0f},
    {k_log, 0.0f, -kInfinity},
    {k_log, -0.0f, -kInfinity},
    {k_log, 0x1p-149f, -0x1.9d1da0p+6f},
    {k_log, 0x1p-126f, -0x1.5d58a0p+6f},
    {k_log, 2.0f, 0x1.62e430p-1f},
    {k_log, 0x1.fffffep127f, 0x1.62e430p+6f},
    {k_log, kInfinity, kInfinity},
    {k_log, -0x1p-149f, kNan},
    {k_log, -1.0f, kNan},
    {k_log, -0x1.fffffep127f, kNan},
    {k_log, -kInfinity, kNan},
    {k_log, kNan, kNan},
    {k_log1p, 0.0f, 0.0f},
    {k_log1p, -0.0f, 0.0f},
    {k_log1p, 0x1p-149f, 0.0f},
    {k_log1p, -0x1.fffffcp-127f, 0.0f},
    {k_log1p, 0x1p-126f, 0x1p-126f},
    {k_log1p, -0x1.fffffep-126f, -0x1.fffffep-126f},
    {k_log1p, 0x1.234p-41f, 0x1.234p-41f},
    {k_log1p, 1.0f, 0x1.62e430p-1f},
    {k_log1p, 0x1p60f, 0x1.4cb5ecp+5f},
    {k_log1p, 0x1p61f, 0x1.52417ep+5f},
    {k_log1p, 0x1.fffffep127f, 0x1.62e430p+6f},
    {k_log1p, kInfinity, kInfinity},
    {k_log1p, -1.0f, -kInfinity},
    {k_log1p, -0x1.000002p0f, kNan},
    {k_log1p, -0x1.fffffep127f, kNan},
    {k_log1p, -kInfinity, kNan},
    {k_log1p, kNan, kNan},
    {k_erf, 0.0f, 0.0f},
    {k_erf, -0.0f, -0.0f},
    {k_erf, 0x1p-149f, 0.0f},
    {k_erf, -0x1p-149f, -0.0f},
    {k_erf, 3.95f, 1.0f},
    {k_erf, -3.95f, -1.0f},
    {k_erf, 4.5f, 1.0f},
    {k_erf, 0x1.fffffep127f, 1.0f},
    {k_erf, kInfinity, 1.0f},
    {k_erf, -kInfinity, -1.0f},
    {k_erf, kNan, kNan},
};

void test_square_root_by_digits() {
  using grucore::detail::functions_test::square_root_by_digits;
  constexpr uint32_t kRootStride = kSanitized ? 64 * 1021 : 1021;
  for (uint64_t word = 0; word < 0x100000000u; word += kRootStride) {
    const float x = word_to_float(static_cast<uint32_t>(word));
    CHECK_SAME(word_to_float(square_root_by_digits(static_cast<uint32_t>(word))), std::sqrt(x));
  }
  // The greatest and the least mantissas round at the edges.
  for (uint32_t exponent = 0; exponent <= 255; ++exponent) {
    for (uint32_t i = 0; i < 64; ++i) {
      const uint32_t word = (exponent << 23) + i - 32;
      CHECK_SAME(word_to_float(square_root_by_digits(word)), std::sqrt(word_to_float(word)));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  for (const VecTable* const* table = vec_tables(); *table != nullptr; ++table) test_special(**table, kSpecial);
  test_square_root_by_digits();
  test_sample(kFunctions, kSampleHashes, kStride);
  CHECK_EQ(missing_vec_tables(argc - 1, argv + 1), 0);
  return finish("functions_test");
}
