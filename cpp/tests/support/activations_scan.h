// Walks the floats in ascending order through a function of one table: errors, order, range, hash.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_TESTS_ACTIVATIONS_SCAN_H_
#define GRUCORE_TESTS_ACTIVATIONS_SCAN_H_

#include <cmath>
#include <cstdint>
#include <cstring>

#include "check.h"
#include "../vec_tables/vec_table.h"

namespace grucore_test {

// A function under test. No result lies outside least..most.
struct Activation {
  VecOp op;
  double (*exact)(double x);
  double most_ulp;  // measured over all floats (docs/numerics.md), rounded up in the second decimal
  double least, most;
  bool odd;
  bool rising;  // never falls, not even by one ulp
};

inline double exact_sigmoid(double x) {
  if (x >= 0) return 1 / (1 + std::exp(-x));
  const double e = std::exp(x);
  return e / (1 + e);
}

constexpr double kUnbounded = HUGE_VAL;

const Activation kActivations[] = {
    {k_exp, std::exp, 1.00, 0.0, kUnbounded, false, true},
    {k_sigmoid, exact_sigmoid, 1.75, 0.0, 1.0, false, true},
    {k_tanh, std::tanh, 1.65, -1.0, 1.0, true, true},
};

const Activation kFunctions[] = {
    {k_expm1, std::expm1, 1.81, -1.0, kUnbounded, false, true},
    {k_log, std::log, 0.93, -kUnbounded, kUnbounded, false, true},
    {k_log1p, std::log1p, 1.06, -kUnbounded, kUnbounded, false, true},
    {k_erf, std::erf, 1.36, -1.0, 1.0, true, false},
};

struct ActivationScan {
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

inline void check_value(const VecTable& table, const Activation& f, float x, float y, ActivationScan* scan) {
  const double smallest = 0x1p-126, largest = 0x1.fffffep127;
  const double exact = f.exact(x);
  const double size = std::fabs(static_cast<double>(y));
  if (std::isnan(exact)) {
    if (!std::isnan(y)) fail_at(table, f.op, x, y, "not NaN");
    return;
  }
  if (size != 0 && size < smallest) fail_at(table, f.op, x, y, "denormal");
  if (!(y >= f.least && y <= f.most)) fail_at(table, f.op, x, y, "out of range");
  if (std::fabs(exact) < smallest) {
    if (size != 0 && size != smallest) fail_at(table, f.op, x, y, "not 0");
  } else if (std::fabs(exact) > largest) {
    if (!std::isinf(y) || (y > 0) != (exact > 0)) fail_at(table, f.op, x, y, "not infinite");
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
inline ActivationScan scan_activation(const VecTable& table, const Activation& f, uint32_t stride, bool check) {
  constexpr int kBlock = 4096;
  static float x[kBlock], y[kBlock], minus_x[kBlock], of_minus_x[kBlock];
  ActivationScan scan;
  float before = -HUGE_VALF;
  for (uint64_t first = 0; first < kOrderedFloats; first += static_cast<uint64_t>(kBlock) * stride) {
    for (int i = 0; i < kBlock; ++i) {
      const uint64_t number = first + static_cast<uint64_t>(i) * stride;
      x[i] = ordered_float(number < kOrderedFloats ? number : kOrderedFloats - 1);
      minus_x[i] = word_to_float(float_bits(x[i]) ^ 0x80000000u);
    }
    table.ops[f.op](x, x, y, kBlock);
    for (int i = 0; i < kBlock; ++i) scan.hash = (scan.hash ^ float_bits(y[i])) * 0x100000001b3u;
    if (!check) continue;
    if (f.odd) table.ops[f.op](minus_x, minus_x, of_minus_x, kBlock);
    for (int i = 0; i < kBlock; ++i) {
      check_value(table, f, x[i], y[i], &scan);
      if (f.rising && y[i] < before) fail_at(table, f.op, x[i], y[i], "falls");
      before = y[i];
      if (f.odd && (float_bits(y[i]) ^ float_bits(of_minus_x[i])) != 0x80000000u) {
        fail_at(table, f.op, x[i], y[i], "not odd");
      }
    }
  }
  if (check) check_tail_of_nan(table, f.op, stride);
  return scan;
}

struct Special {
  VecOp op;
  float x;
  float y;
};

const float kInfinity = word_to_float(kInfinityWord);
const float kNan = word_to_float(0x7fc00000u);

// Each special value in each lane, its neighbours undisturbed.
template <size_t N>
void test_special(const VecTable& table, const Special (&specials)[N]) {
  for (const Special& special : specials) {
    float quiet[kMostLanes], x[kMostLanes], y[kMostLanes];
    for (int i = 0; i < kMostLanes; ++i) x[i] = 0.25f * static_cast<float>(i) - 2.0f;
    table.ops[special.op](x, x, quiet, kMostLanes);
    for (int lane = 0; lane < kMostLanes; ++lane) {
      const float usual = x[lane];
      x[lane] = special.x;
      table.ops[special.op](x, x, y, kMostLanes);
      for (int i = 0; i < kMostLanes; ++i) {
        const float expected = i == lane ? special.y : quiet[i];
        CHECK_SAME(y[i], expected);
        if (!same_float(y[i], expected)) note(table.name), note(kVecOpNames[special.op]);
      }
      x[lane] = usual;
    }
  }
}

// Errors on the first table, the same bits from all of them. `hashes` are of every stride-th float; under a sanitizer,
// a sample of the sample has the first table's.
template <size_t N>
void test_sample(const Activation (&functions)[N], const uint64_t (&hashes)[N], uint32_t stride) {
  uint64_t expected[N];
  std::memcpy(expected, hashes, sizeof expected);
  for (const VecTable* const* table = vec_tables(); *table != nullptr; ++table) {
    const bool first = table == vec_tables();
    for (size_t i = 0; i < N; ++i) {
      const Activation& f = functions[i];
      const ActivationScan scan = scan_activation(**table, f, kSanitized ? 64 * stride : stride, first);
      std::printf("%s %s: hash %016llx", (*table)->name, kVecOpNames[f.op], static_cast<unsigned long long>(scan.hash));
      if (first) std::printf(", at most %.4f ulp, at %a", scan.worst_ulp, static_cast<double>(scan.worst_at));
      std::printf("\n");
      CHECK(scan.worst_ulp <= f.most_ulp);
      if (kSanitized && first) expected[i] = scan.hash;
      CHECK_EQ(scan.hash, expected[i]);
    }
  }
}

}  // namespace grucore_test

#endif  // GRUCORE_TESTS_ACTIVATIONS_SCAN_H_
