// Walks the floats in ascending order through exp, sigmoid or tanh of one table: errors, order, range, hash.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_TESTS_ACTIVATIONS_SCAN_H_
#define GRUCORE_TESTS_ACTIVATIONS_SCAN_H_

#include <cmath>
#include <cstdint>
#include <cstring>

#include "check.h"
#include "vec_tables/vec_table.h"

namespace grucore_test {

constexpr VecOp kActivations[] = {k_exp, k_sigmoid, k_tanh};

// Measured over all floats (docs/numerics.md), rounded up in the second decimal.
constexpr double kMostUlp[] = {1.00, 1.75, 1.65};

struct ActivationScan {
  VecOp op;
  double worst_ulp = 0;
  float worst_at = 0;
  uint64_t hash = 0xcbf29ce484222325u;  // of all outputs but those of NaN
};

inline float word_to_float(uint32_t word) {
  float x;
  std::memcpy(&x, &word, sizeof x);
  return x;
}

constexpr uint32_t kInfinityWord = 0x7f800000u;
// -infinity is number 0, -0 and +0 are neighbours in the middle, infinity is the last.
constexpr uint64_t kOrderedFloats = 2 * (static_cast<uint64_t>(kInfinityWord) + 1);

inline float ordered_float(uint64_t number) {
  const uint64_t half = kOrderedFloats / 2;
  if (number < half) return word_to_float(0x80000000u | static_cast<uint32_t>(half - 1 - number));
  return word_to_float(static_cast<uint32_t>(number - half));
}

inline double exact_activation(VecOp op, double x) {
  if (op == k_exp) return std::exp(x);
  if (op == k_tanh) return std::tanh(x);
  if (x >= 0) return 1 / (1 + std::exp(-x));
  const double e = std::exp(x);
  return e / (1 + e);
}

// The distance of y from the exact value, in units of the last place of a float of that size.
inline double error_in_ulp(float y, double exact) {
  int exponent;
  std::frexp(exact, &exponent);
  return std::fabs(y - exact) * std::ldexp(1.0, 24 - exponent);
}

inline void fail_at(const VecTable& table, VecOp op, float x, float y, const char* what) {
  CHECK(!"activation");
  if (failures > kMostPrinted) return;
  std::printf("    %s %s(%a) = %a: %s\n", table.name, kVecOpNames[op], static_cast<double>(x), static_cast<double>(y),
        what);
}

inline void check_value(const VecTable& table, ActivationScan* scan, float x, float y) {
  const double smallest = 0x1p-126, largest = 0x1.fffffep127;
  const double exact = exact_activation(scan->op, x);
  const double size = std::fabs(static_cast<double>(y));
  if (size != 0 && size < smallest) fail_at(table, scan->op, x, y, "denormal");
  if (scan->op == k_tanh ? size > 1 : y < 0) fail_at(table, scan->op, x, y, "out of range");
  if (scan->op == k_sigmoid && y > 1) fail_at(table, scan->op, x, y, "out of range");
  if (std::fabs(exact) < smallest) {
    if (size != 0 && size != smallest) fail_at(table, scan->op, x, y, "not 0");
  } else if (exact > largest) {
    if (!std::isinf(y)) fail_at(table, scan->op, x, y, "not infinite");
  } else {
    const double error = error_in_ulp(y, exact);
    if (!(error <= scan->worst_ulp)) {
      scan->worst_ulp = error;
      scan->worst_at = x;
    }
  }
}

inline void check_tail_of_nan(const VecTable& table, VecOp op, uint32_t stride) {
  constexpr int kBlock = 4096;
  static float x[kBlock], y[kBlock];
  uint64_t word = kInfinityWord + 1;
  while (word < 0x80000000u) {
    for (int i = 0; i < kBlock; ++i) {
      const uint32_t nan = word < 0x80000000u ? static_cast<uint32_t>(word) : 0x7fffffffu;
      x[i] = word_to_float(nan | (i % 2 == 0 ? 0x80000000u : 0));
      if (i % 2 == 1) word += stride;
    }
    table.ops[op](x, x, y, kBlock);
    for (int i = 0; i < kBlock; ++i) {
      if (!std::isnan(y[i])) fail_at(table, op, x[i], y[i], "not NaN");
    }
  }
}

// Every stride-th float. Without `check`, the hash alone.
inline ActivationScan scan_activation(const VecTable& table, VecOp op, uint32_t stride, bool check) {
  constexpr int kBlock = 4096;
  static float x[kBlock], y[kBlock], minus_x[kBlock], of_minus_x[kBlock];
  ActivationScan scan;
  scan.op = op;
  float before = -1.0f;
  for (uint64_t first = 0; first < kOrderedFloats; first += static_cast<uint64_t>(kBlock) * stride) {
    for (int i = 0; i < kBlock; ++i) {
      const uint64_t number = first + static_cast<uint64_t>(i) * stride;
      x[i] = ordered_float(number < kOrderedFloats ? number : kOrderedFloats - 1);
      minus_x[i] = word_to_float(float_bits(x[i]) ^ 0x80000000u);
    }
    table.ops[op](x, x, y, kBlock);
    for (int i = 0; i < kBlock; ++i) scan.hash = (scan.hash ^ float_bits(y[i])) * 0x100000001b3u;
    if (!check) continue;
    if (op == k_tanh) table.ops[op](minus_x, minus_x, of_minus_x, kBlock);
    for (int i = 0; i < kBlock; ++i) {
      check_value(table, &scan, x[i], y[i]);
      if (!(y[i] >= before)) fail_at(table, op, x[i], y[i], "falls");
      before = y[i];
      if (op == k_tanh && (float_bits(y[i]) ^ float_bits(of_minus_x[i])) != 0x80000000u) {
        fail_at(table, op, x[i], y[i], "not odd");
      }
    }
  }
  if (check) check_tail_of_nan(table, op, stride);
  return scan;
}

}  // namespace grucore_test

#endif  // GRUCORE_TESTS_ACTIVATIONS_SCAN_H_
