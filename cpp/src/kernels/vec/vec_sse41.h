// The Vec API on SSE4.1: 4 lanes, products not fused. The contract of each operation stands in vec_scalar.h.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, inside its target region, after <smmintrin.h>.
namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kLanes = 4;
constexpr bool kFused = false;

struct F32 {
  __m128 v;
};
struct I32 {
  __m128i v;
};
struct Mask {
  __m128 v;
};

GRUCORE_INLINE F32 zero() { return {_mm_setzero_ps()}; }
GRUCORE_INLINE F32 broadcast(float x) { return {_mm_set1_ps(x)}; }
GRUCORE_INLINE I32 broadcast_i32(int32_t x) { return {_mm_set1_epi32(x)}; }

GRUCORE_INLINE F32 load(const float* p) { return {_mm_loadu_ps(p)}; }
GRUCORE_INLINE void store(float* p, F32 a) { _mm_storeu_ps(p, a.v); }

GRUCORE_INLINE __m128 load_pair(const float* p) {
  return _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
GRUCORE_INLINE void store_pair(float* p, __m128 v) {
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_castps_si128(v));
}

// No F16C: the bits moved into place, as in half_to_float.
GRUCORE_INLINE F32 load_half(const uint16_t* p) {
  const __m128i halves = _mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  const __m128i magnitude = _mm_slli_epi32(_mm_and_si128(halves, _mm_set1_epi32(0x7fff)), 13);
  const __m128i is_small = _mm_cmplt_epi32(magnitude, _mm_set1_epi32(0x00800000));
  const __m128i offset = _mm_blendv_epi8(_mm_set1_epi32(0x38000000), _mm_set1_epi32(0x38800000), is_small);
  const __m128 excess = _mm_and_ps(_mm_castsi128_ps(is_small), _mm_set1_ps(0x1p-14f));
  const __m128 value = _mm_sub_ps(_mm_castsi128_ps(_mm_add_epi32(magnitude, offset)), excess);
  const __m128i sign = _mm_slli_epi32(_mm_andnot_si128(_mm_set1_epi32(0x7fff), halves), 16);
  return {_mm_or_ps(value, _mm_castsi128_ps(sign))};
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
    return {_mm_load_ss(p)};
  else if constexpr (N == 2)
    return {load_pair(p)};
  else if constexpr (N == 3)
    return {_mm_movelh_ps(load_pair(p), _mm_load_ss(p + 2))};
  else
    return load(p);
}
template <int N>
GRUCORE_INLINE void store_lanes(float* p, F32 a) {
  static_assert(N >= 1 && N <= kLanes, "lanes");
  if constexpr (N == 1)
    _mm_store_ss(p, a.v);
  else if constexpr (N == 2)
    store_pair(p, a.v);
  else if constexpr (N == 3)
    store_pair(p, a.v), _mm_store_ss(p + 2, _mm_movehl_ps(a.v, a.v));
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

GRUCORE_INLINE F32 add(F32 a, F32 b) { return {_mm_add_ps(a.v, b.v)}; }
GRUCORE_INLINE F32 sub(F32 a, F32 b) { return {_mm_sub_ps(a.v, b.v)}; }
GRUCORE_INLINE F32 mul(F32 a, F32 b) { return {_mm_mul_ps(a.v, b.v)}; }
GRUCORE_INLINE F32 div(F32 a, F32 b) { return {_mm_div_ps(a.v, b.v)}; }
GRUCORE_INLINE F32 sqrt(F32 a) { return {_mm_sqrt_ps(a.v)}; }
GRUCORE_INLINE F32 mul_add(F32 a, F32 b, F32 c) { return add(mul(a, b), c); }
GRUCORE_INLINE F32 exact_mul_add(F32 a, F32 b, F32 c) { return add(mul(a, b), c); }
GRUCORE_INLINE F32 exact_mul_sub(F32 a, F32 b, F32 c) { return sub(mul(a, b), c); }
GRUCORE_INLINE F32 max(F32 a, F32 b) { return {_mm_max_ps(a.v, b.v)}; }
GRUCORE_INLINE F32 min(F32 a, F32 b) { return {_mm_min_ps(a.v, b.v)}; }

GRUCORE_INLINE F32 neg(F32 a) { return {_mm_xor_ps(a.v, _mm_set1_ps(-0.0f))}; }
GRUCORE_INLINE F32 abs(F32 a) { return {_mm_andnot_ps(_mm_set1_ps(-0.0f), a.v)}; }

GRUCORE_INLINE Mask lt(F32 a, F32 b) { return {_mm_cmplt_ps(a.v, b.v)}; }
GRUCORE_INLINE Mask gt(F32 a, F32 b) { return {_mm_cmpgt_ps(a.v, b.v)}; }
GRUCORE_INLINE Mask eq(F32 a, F32 b) { return {_mm_cmpeq_ps(a.v, b.v)}; }
GRUCORE_INLINE Mask is_nan(F32 a) { return {_mm_cmpunord_ps(a.v, a.v)}; }
GRUCORE_INLINE Mask is_nonfinite(F32 a) { return {_mm_cmpnle_ps(abs(a).v, _mm_set1_ps(0x1.fffffep127f))}; }

GRUCORE_INLINE Mask mask_and(Mask a, Mask b) { return {_mm_and_ps(a.v, b.v)}; }
GRUCORE_INLINE Mask mask_or(Mask a, Mask b) { return {_mm_or_ps(a.v, b.v)}; }
GRUCORE_INLINE bool any(Mask a) { return _mm_movemask_ps(a.v) != 0; }
GRUCORE_INLINE F32 select(Mask m, F32 if_true, F32 if_false) { return {_mm_blendv_ps(if_false.v, if_true.v, m.v)}; }
GRUCORE_INLINE F32 zero_if(Mask m, F32 a) { return {_mm_andnot_ps(m.v, a.v)}; }

GRUCORE_INLINE I32 bits(F32 a) { return {_mm_castps_si128(a.v)}; }
GRUCORE_INLINE F32 from_bits(I32 a) { return {_mm_castsi128_ps(a.v)}; }
GRUCORE_INLINE I32 add(I32 a, I32 b) { return {_mm_add_epi32(a.v, b.v)}; }
GRUCORE_INLINE I32 sub(I32 a, I32 b) { return {_mm_sub_epi32(a.v, b.v)}; }
GRUCORE_INLINE I32 bit_and(I32 a, I32 b) { return {_mm_and_si128(a.v, b.v)}; }
GRUCORE_INLINE I32 bit_or(I32 a, I32 b) { return {_mm_or_si128(a.v, b.v)}; }
GRUCORE_INLINE I32 bit_xor(I32 a, I32 b) { return {_mm_xor_si128(a.v, b.v)}; }
template <int N>
GRUCORE_INLINE I32 shift_left(I32 a) {
  return {_mm_slli_epi32(a.v, N)};
}
template <int N>
GRUCORE_INLINE I32 shift_right(I32 a) {
  return {_mm_srli_epi32(a.v, N)};
}

GRUCORE_INLINE F32 flush_denormals(F32 a) { return zero_if(lt(abs(a), broadcast(0x1p-126f)), a); }

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
