// The Vec API of one instruction set as functions over arrays, for tests.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_TESTS_VEC_TABLE_H_
#define GRUCORE_TESTS_VEC_TABLE_H_

#include <stdint.h>

namespace grucore_test {

constexpr int kMostLanes = 16;

enum VecOp {
#define X(name, expression) k_##name,
#include "vec_ops.inc"
#undef X
  kVecOpCount
};

extern const char* const kVecOpNames[kVecOpCount];

struct VecTable {
  const char* name;
  int lanes;
  bool fused;
  // All counts are multiples of kMostLanes.
  void (*ops[kVecOpCount])(const float* a, const float* b, float* out, int count);
  void (*mul_add)(const float* a, const float* b, const float* c, float* out, int count);
  bool (*any_negative)(const float* p);  // any(lt(load(p), zero()))
  // [n - 1] for n in 1..lanes: a whole vector from load_lanes<n>, and store_lanes<n> of a whole vector.
  void (*load_lanes[kMostLanes])(const float* from, float* whole);
  void (*store_lanes[kMostLanes])(float* to, const float* whole);
  void (*load_n)(const float* from, float* whole, int n);
  void (*store_n)(float* to, const float* whole, int n);
};

// The tables of this build that this machine can run, null-terminated; `scalar` is the first.
const VecTable* const* vec_tables();

// How many of these names are not among vec_tables(): a test that must run a table says so and fails without it.
int missing_vec_tables(int count, const char* const* names);

}  // namespace grucore_test

#endif  // GRUCORE_TESTS_VEC_TABLE_H_
