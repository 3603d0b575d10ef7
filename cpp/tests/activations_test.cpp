// exp, sigmoid and tanh: special values, a sample of all floats, and the same bits from every table and machine.
// SPDX-License-Identifier: Apache-2.0
// Usage: activations_test [table that must run]...
#include "activations_scan.h"

using namespace grucore_test;

namespace {

constexpr uint32_t kStride = 251;

// Sums over every kStride-th float, made on x86-64: other machines must reproduce them.
constexpr uint64_t kSampleHashes[] = {0xa3b04f9119a1bc97u, 0x981d4ceb981e1157u, 0xb7232655f3dc10e8u};

const Special kSpecial[] = {
    {k_exp, 0.0f, 1.0f},
    {k_exp, -0.0f, 1.0f},
    {k_exp, 0x1p-149f, 1.0f},
    {k_exp, -0x1p-127f, 1.0f},
    {k_exp, kInfinity, kInfinity},
    {k_exp, -kInfinity, 0.0f},
    {k_exp, 88.8f, kInfinity},
    {k_exp, -87.4f, 0.0f},
    {k_exp, 0x1.fffffep127f, kInfinity},
    {k_exp, -0x1.fffffep127f, 0.0f},
    {k_exp, kNan, kNan},
    {k_sigmoid, 0.0f, 0.5f},
    {k_sigmoid, -0.0f, 0.5f},
    {k_sigmoid, 0x1p-149f, 0.5f},
    {k_sigmoid, -0x1p-127f, 0.5f},
    {k_sigmoid, 17.5f, 1.0f},
    {k_sigmoid, 20.5f, 1.0f},
    {k_sigmoid, kInfinity, 1.0f},
    {k_sigmoid, 0x1.fffffep127f, 1.0f},
    {k_sigmoid, -87.4f, 0.0f},
    {k_sigmoid, -0x1.fffffep127f, 0.0f},
    {k_sigmoid, -kInfinity, 0.0f},
    {k_sigmoid, kNan, kNan},
    {k_tanh, 0.0f, 0.0f},
    {k_tanh, -0.0f, -0.0f},
    {k_tanh, 0x1p-149f, 0.0f},
    {k_tanh, -0x1.fffffcp-127f, -0.0f},
    {k_tanh, 0x1p-126f, 0x1p-126f},
    {k_tanh, -0x1p-126f, -0x1p-126f},
    {k_tanh, 0x1.234p-100f, 0x1.234p-100f},
    {k_tanh, 0x1.234p-20f, 0x1.234p-20f},
    {k_tanh, 9.1f, 1.0f},
    {k_tanh, -9.1f, -1.0f},
    {k_tanh, 0x1.fffffep127f, 1.0f},
    {k_tanh, kInfinity, 1.0f},
    {k_tanh, -kInfinity, -1.0f},
    {k_tanh, kNan, kNan},
};

}  // namespace

int main(int argc, char** argv) {
  for (const VecTable* const* table = vec_tables(); *table != nullptr; ++table) test_special(**table, kSpecial);
  test_sample(kActivations, kSampleHashes, kStride);
  CHECK_EQ(missing_vec_tables(argc - 1, argv + 1), 0);
  return finish("activations_test");
}
