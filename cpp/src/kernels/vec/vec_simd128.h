// The Vec API on WebAssembly SIMD: 4 lanes, products not fused. The contract of each operation stands in vec_scalar.h.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, after <wasm_simd128.h>.
namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kLanes = 4;
constexpr bool kFused = false;

struct F32 {
  v128_t v;
};
struct I32 {
  v128_t v;
};
struct Mask {
  v128_t v;
};

GRUCORE_INLINE F32 zero() { return {wasm_f32x4_const_splat(0.0f)}; }
GRUCORE_INLINE F32 broadcast(float x) { return {wasm_f32x4_splat(x)}; }
GRUCORE_INLINE I32 broadcast_i32(int32_t x) { return {wasm_i32x4_splat(x)}; }

GRUCORE_INLINE F32 load(const float* p) { return {wasm_v128_load(p)}; }
GRUCORE_INLINE void store(float* p, F32 a) { wasm_v128_store(p, a.v); }

// There is no conversion: the bits moved into place, as in half_to_float.
GRUCORE_INLINE F32 load_half(const uint16_t* p) {
  const v128_t halves = wasm_u32x4_load16x4(p);
  const v128_t magnitude = wasm_i32x4_shl(wasm_v128_and(halves, wasm_i32x4_const_splat(0x7fff)), 13);
  const v128_t is_small = wasm_i32x4_lt(magnitude, wasm_i32x4_const_splat(0x00800000));
  const v128_t offset =
      wasm_v128_bitselect(wasm_i32x4_const_splat(0x38800000), wasm_i32x4_const_splat(0x38000000), is_small);
  const v128_t excess = wasm_v128_and(is_small, wasm_f32x4_const_splat(0x1p-14f));
  const v128_t value = wasm_f32x4_sub(wasm_i32x4_add(magnitude, offset), excess);
  const v128_t sign = wasm_i32x4_shl(wasm_v128_andnot(halves, wasm_i32x4_const_splat(0x7fff)), 16);
  return {wasm_v128_or(value, sign)};
}
GRUCORE_INLINE F32 load_half_n(const uint16_t* p, int n) {
  uint16_t halves[kLanes] = {};
  __builtin_memcpy(halves, p, sizeof *p * static_cast<unsigned>(n));
  return load_half(halves);
}

template <int N>
GRUCORE_INLINE F32 load_lanes(const float* p) {
  static_assert(N >= 1 && N <= kLanes, "lanes");
  if constexpr (N == 1)
    return {wasm_v128_load32_zero(p)};
  else if constexpr (N == 2)
    return {wasm_v128_load64_zero(p)};
  else if constexpr (N == 3)
    return {wasm_v128_load32_lane(p + 2, wasm_v128_load64_zero(p), 2)};
  else
    return load(p);
}
template <int N>
GRUCORE_INLINE void store_lanes(float* p, F32 a) {
  static_assert(N >= 1 && N <= kLanes, "lanes");
  if constexpr (N == 1)
    wasm_v128_store32_lane(p, a.v, 0);
  else if constexpr (N == 2)
    wasm_v128_store64_lane(p, a.v, 0);
  else if constexpr (N == 3)
    wasm_v128_store64_lane(p, a.v, 0), wasm_v128_store32_lane(p + 2, a.v, 2);
  else
    store(p, a);
}
GRUCORE_INLINE F32 load_n(const float* p, int n) {
  switch (n) {
    case 0: return zero();
    case 1: return load_lanes<1>(p);
    case 2: return load_lanes<2>(p);
    case 3: return load_lanes<3>(p);
    default: return load(p);
  }
}
GRUCORE_INLINE void store_n(float* p, F32 a, int n) {
  switch (n) {
    case 0: return;
    case 1: return store_lanes<1>(p, a);
    case 2: return store_lanes<2>(p, a);
    case 3: return store_lanes<3>(p, a);
    default: return store(p, a);
  }
}

GRUCORE_INLINE F32 add(F32 a, F32 b) { return {wasm_f32x4_add(a.v, b.v)}; }
GRUCORE_INLINE F32 sub(F32 a, F32 b) { return {wasm_f32x4_sub(a.v, b.v)}; }
GRUCORE_INLINE F32 mul(F32 a, F32 b) { return {wasm_f32x4_mul(a.v, b.v)}; }
GRUCORE_INLINE F32 div(F32 a, F32 b) { return {wasm_f32x4_div(a.v, b.v)}; }
GRUCORE_INLINE F32 sqrt(F32 a) { return {wasm_f32x4_sqrt(a.v)}; }
GRUCORE_INLINE F32 mul_add(F32 a, F32 b, F32 c) { return add(mul(a, b), c); }
GRUCORE_INLINE F32 exact_mul_add(F32 a, F32 b, F32 c) { return add(mul(a, b), c); }
GRUCORE_INLINE F32 exact_mul_sub(F32 a, F32 b, F32 c) { return sub(mul(a, b), c); }
// pmax(x, y) is x < y ? y : x.
GRUCORE_INLINE F32 max(F32 a, F32 b) { return {wasm_f32x4_pmax(b.v, a.v)}; }
GRUCORE_INLINE F32 min(F32 a, F32 b) { return {wasm_f32x4_pmin(b.v, a.v)}; }

GRUCORE_INLINE F32 neg(F32 a) { return {wasm_f32x4_neg(a.v)}; }
GRUCORE_INLINE F32 abs(F32 a) { return {wasm_f32x4_abs(a.v)}; }

GRUCORE_INLINE Mask lt(F32 a, F32 b) { return {wasm_f32x4_lt(a.v, b.v)}; }
GRUCORE_INLINE Mask gt(F32 a, F32 b) { return {wasm_f32x4_gt(a.v, b.v)}; }
GRUCORE_INLINE Mask eq(F32 a, F32 b) { return {wasm_f32x4_eq(a.v, b.v)}; }
GRUCORE_INLINE Mask is_nan(F32 a) { return {wasm_f32x4_ne(a.v, a.v)}; }
GRUCORE_INLINE Mask is_nonfinite(F32 a) {
  return {wasm_v128_not(wasm_f32x4_le(abs(a).v, wasm_f32x4_const_splat(0x1.fffffep127f)))};
}

GRUCORE_INLINE Mask mask_and(Mask a, Mask b) { return {wasm_v128_and(a.v, b.v)}; }
GRUCORE_INLINE Mask mask_or(Mask a, Mask b) { return {wasm_v128_or(a.v, b.v)}; }
GRUCORE_INLINE bool any(Mask a) { return wasm_v128_any_true(a.v); }
GRUCORE_INLINE F32 select(Mask m, F32 if_true, F32 if_false) {
  return {wasm_v128_bitselect(if_true.v, if_false.v, m.v)};
}
GRUCORE_INLINE F32 zero_if(Mask m, F32 a) { return {wasm_v128_andnot(a.v, m.v)}; }

GRUCORE_INLINE I32 bits(F32 a) { return {a.v}; }
GRUCORE_INLINE F32 from_bits(I32 a) { return {a.v}; }
GRUCORE_INLINE I32 add(I32 a, I32 b) { return {wasm_i32x4_add(a.v, b.v)}; }
GRUCORE_INLINE I32 sub(I32 a, I32 b) { return {wasm_i32x4_sub(a.v, b.v)}; }
GRUCORE_INLINE I32 bit_and(I32 a, I32 b) { return {wasm_v128_and(a.v, b.v)}; }
GRUCORE_INLINE I32 bit_or(I32 a, I32 b) { return {wasm_v128_or(a.v, b.v)}; }
GRUCORE_INLINE I32 bit_xor(I32 a, I32 b) { return {wasm_v128_xor(a.v, b.v)}; }
template <int N>
GRUCORE_INLINE I32 shift_left(I32 a) {
  return {wasm_i32x4_shl(a.v, N)};
}
template <int N>
GRUCORE_INLINE I32 shift_right(I32 a) {
  return {wasm_u32x4_shr(a.v, N)};
}

GRUCORE_INLINE F32 flush_denormals(F32 a) { return zero_if(lt(abs(a), broadcast(0x1p-126f)), a); }

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
