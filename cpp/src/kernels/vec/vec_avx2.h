// The Vec API on AVX2 with FMA: 8 lanes. The contract of each operation stands in vec_scalar.h.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, inside its target region, after <immintrin.h>.
namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kLanes = 8;
constexpr bool kFused = true;

struct F32 {
  __m256 v;
};
struct I32 {
  __m256i v;
};
struct Mask {
  __m256 v;
};

// A window of eight that starts 8 - n entries in is the mask of the first n lanes.
constexpr int32_t kLaneWindow[2 * kLanes] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

GRUCORE_INLINE __m256i first_lanes(int n) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLaneWindow + (kLanes - n)));
}

GRUCORE_INLINE F32 zero() { return {_mm256_setzero_ps()}; }
GRUCORE_INLINE F32 broadcast(float x) { return {_mm256_set1_ps(x)}; }
GRUCORE_INLINE I32 broadcast_i32(int32_t x) { return {_mm256_set1_epi32(x)}; }

GRUCORE_INLINE F32 load(const float* p) { return {_mm256_loadu_ps(p)}; }
GRUCORE_INLINE void store(float* p, F32 a) { _mm256_storeu_ps(p, a.v); }

GRUCORE_INLINE F32 load_n(const float* p, int n) { return {_mm256_maskload_ps(p, first_lanes(n))}; }
GRUCORE_INLINE void store_n(float* p, F32 a, int n) { _mm256_maskstore_ps(p, first_lanes(n), a.v); }

GRUCORE_INLINE F32 load_half(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
GRUCORE_INLINE F32 load_half_n(const uint16_t* p, int n) {
  uint16_t halves[kLanes] = {};
  __builtin_memcpy(halves, p, sizeof *p * static_cast<unsigned>(n));
  return load_half(halves);
}

template <int N>
GRUCORE_INLINE F32 load_lanes(const float* p) {
  static_assert(N >= 1 && N <= kLanes, "lanes");
  if constexpr (N == kLanes)
    return load(p);
  else if constexpr (N == 4)
    return {_mm256_insertf128_ps(_mm256_setzero_ps(), _mm_loadu_ps(p), 0)};
  else
    return load_n(p, N);
}
template <int N>
GRUCORE_INLINE void store_lanes(float* p, F32 a) {
  static_assert(N >= 1 && N <= kLanes, "lanes");
  if constexpr (N == kLanes)
    store(p, a);
  else if constexpr (N == 4)
    _mm_storeu_ps(p, _mm256_castps256_ps128(a.v));
  else
    store_n(p, a, N);
}

GRUCORE_INLINE F32 add(F32 a, F32 b) { return {_mm256_add_ps(a.v, b.v)}; }
GRUCORE_INLINE F32 sub(F32 a, F32 b) { return {_mm256_sub_ps(a.v, b.v)}; }
GRUCORE_INLINE F32 mul(F32 a, F32 b) { return {_mm256_mul_ps(a.v, b.v)}; }
GRUCORE_INLINE F32 div(F32 a, F32 b) { return {_mm256_div_ps(a.v, b.v)}; }
GRUCORE_INLINE F32 sqrt(F32 a) { return {_mm256_sqrt_ps(a.v)}; }
GRUCORE_INLINE F32 mul_add(F32 a, F32 b, F32 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
GRUCORE_INLINE F32 exact_mul_add(F32 a, F32 b, F32 c) { return mul_add(a, b, c); }
GRUCORE_INLINE F32 exact_mul_sub(F32 a, F32 b, F32 c) { return {_mm256_fmsub_ps(a.v, b.v, c.v)}; }
GRUCORE_INLINE F32 max(F32 a, F32 b) { return {_mm256_max_ps(a.v, b.v)}; }
GRUCORE_INLINE F32 min(F32 a, F32 b) { return {_mm256_min_ps(a.v, b.v)}; }

GRUCORE_INLINE F32 neg(F32 a) { return {_mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f))}; }
GRUCORE_INLINE F32 abs(F32 a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }

GRUCORE_INLINE Mask lt(F32 a, F32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
GRUCORE_INLINE Mask gt(F32 a, F32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
GRUCORE_INLINE Mask eq(F32 a, F32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
GRUCORE_INLINE Mask is_nan(F32 a) { return {_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q)}; }
GRUCORE_INLINE Mask is_nonfinite(F32 a) {
  return {_mm256_cmp_ps(abs(a).v, _mm256_set1_ps(0x1.fffffep127f), _CMP_NLE_UQ)};
}

GRUCORE_INLINE Mask mask_and(Mask a, Mask b) { return {_mm256_and_ps(a.v, b.v)}; }
GRUCORE_INLINE Mask mask_or(Mask a, Mask b) { return {_mm256_or_ps(a.v, b.v)}; }
GRUCORE_INLINE bool any(Mask a) { return _mm256_movemask_ps(a.v) != 0; }
GRUCORE_INLINE F32 select(Mask m, F32 if_true, F32 if_false) { return {_mm256_blendv_ps(if_false.v, if_true.v, m.v)}; }
GRUCORE_INLINE F32 zero_if(Mask m, F32 a) { return {_mm256_andnot_ps(m.v, a.v)}; }

GRUCORE_INLINE I32 bits(F32 a) { return {_mm256_castps_si256(a.v)}; }
GRUCORE_INLINE F32 from_bits(I32 a) { return {_mm256_castsi256_ps(a.v)}; }
GRUCORE_INLINE I32 add(I32 a, I32 b) { return {_mm256_add_epi32(a.v, b.v)}; }
GRUCORE_INLINE I32 sub(I32 a, I32 b) { return {_mm256_sub_epi32(a.v, b.v)}; }
GRUCORE_INLINE I32 bit_and(I32 a, I32 b) { return {_mm256_and_si256(a.v, b.v)}; }
GRUCORE_INLINE I32 bit_or(I32 a, I32 b) { return {_mm256_or_si256(a.v, b.v)}; }
GRUCORE_INLINE I32 bit_xor(I32 a, I32 b) { return {_mm256_xor_si256(a.v, b.v)}; }
template <int N>
GRUCORE_INLINE I32 shift_left(I32 a) {
  return {_mm256_slli_epi32(a.v, N)};
}
template <int N>
GRUCORE_INLINE I32 shift_right(I32 a) {
  return {_mm256_srli_epi32(a.v, N)};
}

GRUCORE_INLINE F32 flush_denormals(F32 a) { return zero_if(lt(abs(a), broadcast(0x1p-126f)), a); }

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
