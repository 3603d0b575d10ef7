// Fills a VecTable from the Vec API; included inside the target region of one instruction set, by its kernel table
// (cpp/src/kernels/tables) where GRUCORE_TEST_TABLE names this file.
// SPDX-License-Identifier: Apache-2.0
namespace grucore::detail::GRUCORE_ISA {
namespace {

#define X(name, expression)                                                  \
  void run_##name(const float* pa, const float* pb, float* out, int count) { \
    for (int i = 0; i < count; i += kLanes) {                                \
      [[maybe_unused]] const F32 a = load(pa + i);                           \
      [[maybe_unused]] const F32 b = load(pb + i);                           \
      store(out + i, expression);                                            \
    }                                                                        \
  }
#include "vec_ops.inc"
#undef X

void run_mul_add(const float* a, const float* b, const float* c, float* out, int count) {
  for (int i = 0; i < count; i += kLanes) store(out + i, mul_add(load(a + i), load(b + i), load(c + i)));
}

bool run_any_negative(const float* p) { return any(lt(load(p), zero())); }

template <int N>
void run_load_lanes(const float* from, float* whole) {
  if constexpr (N <= kLanes) store(whole, load_lanes<N>(from));
}
template <int N>
void run_store_lanes(float* to, const float* whole) {
  if constexpr (N <= kLanes) store_lanes<N>(to, load(whole));
}
void run_load_n(const float* from, float* whole, int n) { store(whole, load_n(from, n)); }
void run_store_n(float* to, const float* whole, int n) { store_n(to, load(whole), n); }

}  // namespace

#define GRUCORE_TEST_SIXTEEN(f) \
  {f<1>, f<2>, f<3>, f<4>, f<5>, f<6>, f<7>, f<8>, f<9>, f<10>, f<11>, f<12>, f<13>, f<14>, f<15>, f<16>}
#define GRUCORE_TEST_NAME_(isa) #isa
#define GRUCORE_TEST_NAME(isa) GRUCORE_TEST_NAME_(isa)

extern const grucore_test::VecTable kVecTable;
const grucore_test::VecTable kVecTable = {
    GRUCORE_TEST_NAME(GRUCORE_ISA),
    kLanes,
    kFused,
    {
#define X(name, expression) run_##name,
#include "vec_ops.inc"
#undef X
    },
    run_mul_add,
    run_any_negative,
    GRUCORE_TEST_SIXTEEN(run_load_lanes),
    GRUCORE_TEST_SIXTEEN(run_store_lanes),
    run_load_n,
    run_store_n,
};

}  // namespace grucore::detail::GRUCORE_ISA
