// Every operation of the Vec API of every instruction set against plain C++, bit for bit.
// SPDX-License-Identifier: Apache-2.0
// Usage: vec_test [random rounds, default 300 [table that must run]...]
#include <cmath>
#include <cstdlib>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#include <unistd.h>
#define GRUCORE_TEST_GUARD_PAGE 1
#else
#define GRUCORE_TEST_GUARD_PAGE 0
#endif

#include "check.h"
#include "vec_values.h"
#include "vec_tables/vec_table.h"

using namespace grucore_test;

namespace {

constexpr int kBlock = 4096;

float as_float(bool condition) { return condition ? 1.0f : 0.0f; }

// Plain C++ for operation `op`; the activations have a test of their own.
bool expected_value(int op, float a, float b, float* out) {
  const uint32_t wa = float_bits(a), wb = float_bits(b);
  switch (op) {
    case k_add: *out = a + b; return true;
    case k_sub: *out = a - b; return true;
    case k_mul: *out = a * b; return true;
    case k_div: *out = a / b; return true;
    case k_sqrt: *out = std::sqrt(a); return true;
    case k_max: *out = a > b ? a : b; return true;
    case k_min: *out = a < b ? a : b; return true;
    case k_neg: *out = from_word(wa ^ 0x80000000u); return true;
    case k_abs: *out = from_word(wa & 0x7fffffffu); return true;
    case k_lt: *out = as_float(a < b); return true;
    case k_gt: *out = as_float(a > b); return true;
    case k_eq: *out = as_float(a == b); return true;
    case k_is_nan: *out = as_float(std::isnan(a)); return true;
    case k_is_nonfinite: *out = as_float(!std::isfinite(a)); return true;
    case k_mask_and: *out = as_float(a < b && a > 0.0f); return true;
    case k_mask_or: *out = as_float(a < b || a > 0.0f); return true;
    case k_select_lt: *out = a < b ? a : b; return true;
    case k_zero_if: *out = a < b ? 0.0f : a; return true;
    case k_flush_denormals: *out = (wa & 0x7fffffffu) < 0x00800000u ? 0.0f : a; return true;
    case k_add_i32: *out = from_word(wa + wb); return true;
    case k_sub_i32: *out = from_word(wa - wb); return true;
    case k_bit_and: *out = from_word(wa & wb); return true;
    case k_bit_or: *out = from_word(wa | wb); return true;
    case k_bit_xor: *out = from_word(wa ^ wb); return true;
    case k_broadcast_i32: *out = from_word(wa ^ static_cast<uint32_t>(-0x12345678)); return true;
    case k_shift_left_1: *out = from_word(wa << 1); return true;
    case k_shift_left_23: *out = from_word(wa << 23); return true;
    case k_shift_right_1: *out = from_word(wa >> 1); return true;
    case k_shift_right_31: *out = from_word(wa >> 31); return true;
    default: return false;
  }
}

// Rounding makes a NaN of its own; everything else moves bits.
bool is_arithmetic(int op) { return op <= k_sqrt; }

void check_block(const VecTable& table, const float* a, const float* b) {
  float out[kBlock];
  for (int op = 0; op < kVecOpCount; ++op) {
    float expected;
    if (!expected_value(op, 0.0f, 0.0f, &expected)) continue;
    table.ops[op](a, b, out, kBlock);
    for (int i = 0; i < kBlock; ++i) {
      expected_value(op, a[i], b[i], &expected);
      const bool equal = float_bits(out[i]) == float_bits(expected);
      const bool same = equal || (is_arithmetic(op) && same_float(out[i], expected));
      CHECK(same);
      if (same) continue;
      if (failures <= kMostPrinted) {
        std::printf("    %s %s(%a, %a) = %a (%08x), expected %a (%08x)\n", table.name, kVecOpNames[op],
                    static_cast<double>(a[i]), static_cast<double>(b[i]), static_cast<double>(out[i]),
                    static_cast<unsigned>(float_bits(out[i])), static_cast<double>(expected),
                    static_cast<unsigned>(float_bits(expected)));
      }
    }
  }
}

void test_lane_wise(const VecTable& table, int rounds) {
  const std::vector<float>& special = special_values();
  std::vector<float> a, b;
  for (float x : special) {
    for (float y : special) {
      a.push_back(x);
      b.push_back(y);
    }
  }
  while (a.size() % kBlock != 0) {
    a.push_back(1.0f);
    b.push_back(2.0f);
  }
  for (size_t i = 0; i < a.size(); i += kBlock) check_block(table, &a[i], &b[i]);
  for (int round = 0; round < rounds / 10 + 1; ++round) {
    for (int i = 0; i < kBlock; ++i) {
      a[i] = from_word(next_random());
      // Every second pair close together, where comparisons and cancellation matter.
      b[i] = i % 2 == 0 ? from_word(next_random()) : from_word(float_bits(a[i]) + next_random() % 7 - 3);
    }
    check_block(table, a.data(), b.data());
  }
}

// WebAssembly's C library (musl): its fmaf rounds results near the least normal number twice.
#if defined(__wasm__)
bool library_fuses(float result) { return std::fabs(result) > 0x1.000002p-126f; }
#else
bool library_fuses(float) { return true; }
#endif

void check_mul_add(const VecTable& table, const float* a, const float* b, const float* c) {
  float out[kBlock];
  table.mul_add(a, b, c, out, kBlock);
  for (int i = 0; i < kBlock; ++i) {
    const float product = a[i] * b[i];
    const float expected = table.fused ? std::fmaf(a[i], b[i], c[i]) : product + c[i];
    if (table.fused && !library_fuses(expected)) continue;
    CHECK_SAME(out[i], expected);
    if (!same_float(out[i], expected) && failures <= kMostPrinted) {
      std::printf("    %s mul_add(%a, %a, %a)\n", table.name, static_cast<double>(a[i]), static_cast<double>(b[i]),
                  static_cast<double>(c[i]));
    }
  }
}

void test_mul_add(const VecTable& table, int rounds) {
  const std::vector<float>& special = special_values();
  std::vector<float> a(kBlock), b(kBlock), c(kBlock);
  int filled = 0;
  for (float x : special) {
    for (float y : special) {
      for (float z : special) {
        a[filled] = x;
        b[filled] = y;
        c[filled] = z;
        if (++filled < kBlock) continue;
        check_mul_add(table, a.data(), b.data(), c.data());
        filled = 0;
      }
    }
  }
  check_mul_add(table, a.data(), b.data(), c.data());
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < kBlock; ++i) hard_triple(i, &a[i], &b[i], &c[i]);
    check_mul_add(table, a.data(), b.data(), c.data());
  }
}

void test_any(const VecTable& table) {
  for (int lane = -1; lane < table.lanes; ++lane) {
    float values[kMostLanes];
    for (float& x : values) x = lane % 2 == 0 ? 0.0f : from_word(0x7fc00000);
    if (lane >= 0) values[lane] = -1e-40f;
    CHECK_EQ(table.any_negative(values), lane >= 0);
  }
}

// n floats that end where the readable memory ends.
class EdgeOfMemory {
 public:
  EdgeOfMemory() {
#if GRUCORE_TEST_GUARD_PAGE
    page_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    base_ = static_cast<char*>(mmap(nullptr, 2 * page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0));
    mprotect(base_ + page_, page_, PROT_NONE);
#else
    page_ = sizeof storage_;
    base_ = storage_;
#endif
  }
  float* last(int n) { return reinterpret_cast<float*>(base_ + page_) - n; }

 private:
  char* base_;
  size_t page_;
#if !GRUCORE_TEST_GUARD_PAGE
  char storage_[256];
#endif
};

void test_partial(const VecTable& table) {
  EdgeOfMemory memory;
  float whole[kMostLanes], values[kMostLanes];
  for (int i = 0; i < kMostLanes; ++i) values[i] = static_cast<float>(i + 1);
  for (int n = 0; n <= table.lanes; ++n) {
    for (int compile_time = 0; compile_time < 2; ++compile_time) {
      if (compile_time == 1 && n == 0) continue;
      float* edge = memory.last(n);
      for (int i = 0; i < n; ++i) edge[i] = values[i];
      if (compile_time == 1) {
        table.load_lanes[n - 1](edge, whole);
      } else {
        table.load_n(edge, whole, n);
      }
      for (int i = 0; i < table.lanes; ++i) CHECK_SAME(whole[i], i < n ? values[i] : 0.0f);

      for (int i = 0; i < n; ++i) edge[i] = -1.0f;
      if (compile_time == 1) {
        table.store_lanes[n - 1](edge, values);
      } else {
        table.store_n(edge, values, n);
      }
      for (int i = 0; i < n; ++i) CHECK_SAME(edge[i], values[i]);

      float around[kMostLanes + 2];
      for (float& x : around) x = -7.0f;
      if (compile_time == 1) {
        table.store_lanes[n - 1](around + 1, values);
      } else {
        table.store_n(around + 1, values, n);
      }
      for (int i = 0; i < kMostLanes + 2; ++i) CHECK_SAME(around[i], i >= 1 && i <= n ? values[i - 1] : -7.0f);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 300;
  for (const VecTable* const* table = vec_tables(); *table != nullptr; ++table) {
    std::printf("%s: %d lanes, %s\n", (*table)->name, (*table)->lanes, (*table)->fused ? "fused" : "muladd");
    test_lane_wise(**table, rounds);
    test_mul_add(**table, rounds);
    test_any(**table);
    test_partial(**table);
  }
  if (argc > 2) CHECK_EQ(missing_vec_tables(argc - 2, argv + 2), 0);
  return finish("vec_test");
}
