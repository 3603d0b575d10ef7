// The Vec API on AVX-512 (F, BW, VL, DQ): 16 lanes. The contract of each operation stands in vec_scalar.h.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, inside its target region, after <immintrin.h>.
namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kLanes = 16;
constexpr bool kFused = true;

struct F32 {
  __m512 v;
};
struct I32 {
  __m512i v;
};
struct Mask {
  __mmask16 v;
};

GRUCORE_INLINE __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

GRUCORE_INLINE F32 zero() { return {_mm512_setzero_ps()}; }
GRUCORE_INLINE F32 broadcast(float x) { return {_mm512_set1_ps(x)}; }
GRUCORE_INLINE I32 broadcast_i32(int32_t x) { return {_mm512_set1_epi32(x)}; }

GRUCORE_INLINE F32 load(const float* p) { return {_mm512_loadu_ps(p)}; }
GRUCORE_INLINE void store(float* p, F32 a) { _mm512_storeu_ps(p, a.v); }

GRUCORE_INLINE F32 load_n(const float* p, int n) { return {_mm512_maskz_loadu_ps(first_lanes(n), p)}; }
GRUCORE_INLINE void store_n(float* p, F32 a, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), a.v); }

GRUCORE_INLINE F32 load_half(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
GRUCORE_INLINE F32 load_half_n(const uint16_t* p, int n) {
  return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(n), p))};
}

template <int N>
GRUCORE_INLINE F32 load_lanes(const float* p) {
  static_assert(N >= 1 && N <= kLanes, "lanes");
  if constexpr (N == kLanes)
    return load(p);
  else if constexpr (N == kLanes / 2)  // no mask, and half as often across two lines
    return {_mm512_zextps256_ps512(_mm256_loadu_ps(p))};
  else
    return load_n(p, N);
}
template <int N>
GRUCORE_INLINE void store_lanes(float* p, F32 a) {
  static_assert(N >= 1 && N <= kLanes, "lanes");
  if constexpr (N == kLanes)
    store(p, a);
  else
    store_n(p, a, N);
}

GRUCORE_INLINE F32 add(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
GRUCORE_INLINE F32 sub(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
GRUCORE_INLINE F32 mul(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
GRUCORE_INLINE F32 div(F32 a, F32 b) { return {_mm512_div_ps(a.v, b.v)}; }
GRUCORE_INLINE F32 sqrt(F32 a) { return {_mm512_sqrt_ps(a.v)}; }
GRUCORE_INLINE F32 mul_add(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// The lower eight lanes of a*b + c with eight floats at a; the upper ones are 0.
GRUCORE_INLINE F32 mul_add_eight(const float* a, F32 b, F32 c) {
  return {_mm512_zextps256_ps512(
      _mm256_fmadd_ps(_mm256_loadu_ps(a), _mm512_castps512_ps256(b.v), _mm512_castps512_ps256(c.v)))};
}
GRUCORE_INLINE F32 exact_mul_add(F32 a, F32 b, F32 c) { return mul_add(a, b, c); }
GRUCORE_INLINE F32 exact_mul_sub(F32 a, F32 b, F32 c) { return {_mm512_fmsub_ps(a.v, b.v, c.v)}; }
GRUCORE_INLINE F32 max(F32 a, F32 b) { return {_mm512_max_ps(a.v, b.v)}; }
GRUCORE_INLINE F32 min(F32 a, F32 b) { return {_mm512_min_ps(a.v, b.v)}; }

GRUCORE_INLINE F32 neg(F32 a) { return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f))}; }
GRUCORE_INLINE F32 abs(F32 a) { return {_mm512_andnot_ps(_mm512_set1_ps(-0.0f), a.v)}; }

GRUCORE_INLINE Mask lt(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
GRUCORE_INLINE Mask gt(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
GRUCORE_INLINE Mask eq(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
GRUCORE_INLINE Mask is_nan(F32 a) { return {_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q)}; }
GRUCORE_INLINE Mask is_nonfinite(F32 a) {
  constexpr int kQuietNan = 0x01, kPlusInf = 0x08, kMinusInf = 0x10, kSignallingNan = 0x80;
  return {_mm512_fpclass_ps_mask(a.v, kQuietNan | kPlusInf | kMinusInf | kSignallingNan)};
}

GRUCORE_INLINE Mask mask_and(Mask a, Mask b) { return {static_cast<__mmask16>(a.v & b.v)}; }
GRUCORE_INLINE Mask mask_or(Mask a, Mask b) { return {static_cast<__mmask16>(a.v | b.v)}; }
GRUCORE_INLINE bool any(Mask a) { return a.v != 0; }
GRUCORE_INLINE F32 select(Mask m, F32 if_true, F32 if_false) {
  return {_mm512_mask_blend_ps(m.v, if_false.v, if_true.v)};
}
GRUCORE_INLINE F32 zero_if(Mask m, F32 a) { return {_mm512_mask_mov_ps(a.v, m.v, _mm512_setzero_ps())}; }

GRUCORE_INLINE I32 bits(F32 a) { return {_mm512_castps_si512(a.v)}; }
GRUCORE_INLINE F32 from_bits(I32 a) { return {_mm512_castsi512_ps(a.v)}; }
GRUCORE_INLINE I32 add(I32 a, I32 b) { return {_mm512_add_epi32(a.v, b.v)}; }
GRUCORE_INLINE I32 sub(I32 a, I32 b) { return {_mm512_sub_epi32(a.v, b.v)}; }
GRUCORE_INLINE I32 bit_and(I32 a, I32 b) { return {_mm512_and_si512(a.v, b.v)}; }
GRUCORE_INLINE I32 bit_or(I32 a, I32 b) { return {_mm512_or_si512(a.v, b.v)}; }
GRUCORE_INLINE I32 bit_xor(I32 a, I32 b) { return {_mm512_xor_si512(a.v, b.v)}; }
template <int N>
GRUCORE_INLINE I32 shift_left(I32 a) {
  return {_mm512_slli_epi32(a.v, N)};
}
template <int N>
GRUCORE_INLINE I32 shift_right(I32 a) {
  return {_mm512_srli_epi32(a.v, N)};
}

GRUCORE_INLINE F32 flush_denormals(F32 a) {
  constexpr int kPlusZero = 0x02, kMinusZero = 0x04, kDenormal = 0x20;
  const __mmask16 tiny = _mm512_fpclass_ps_mask(a.v, kPlusZero | kMinusZero | kDenormal);
  return {_mm512_mask_mov_ps(a.v, tiny, _mm512_setzero_ps())};
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
