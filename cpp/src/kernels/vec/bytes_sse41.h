// Vectors of 16 bytes on SSE4.1. The contract of each operation stands in bytes_scalar.h.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, inside its target region, after vec_sse41.h.
namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kWeightOffset = 0;
constexpr int kDotsInFlight = 1;
constexpr int kIntegerRows = 1;
constexpr int kIntegerVectors = 3;

struct I8 {
  __m128i v;
};
struct I16 {
  __m128i v;
};

GRUCORE_INLINE I8 load_bytes(const unsigned char* p) { return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))}; }
GRUCORE_INLINE I8 load_bytes_n(const unsigned char* p, int) { return load_bytes(p); }
GRUCORE_INLINE I8 broadcast_four(const unsigned char* p) {
  int32_t four;
  __builtin_memcpy(&four, p, sizeof four);
  return {_mm_set1_epi32(four)};
}
GRUCORE_INLINE I8 low_nibbles(I8 a) { return {_mm_and_si128(a.v, _mm_set1_epi8(15))}; }
GRUCORE_INLINE I8 high_nibbles(I8 a) { return low_nibbles({_mm_srli_epi16(a.v, 4)}); }
GRUCORE_INLINE I8 flip_nibbles(I8 a) { return {_mm_xor_si128(a.v, _mm_set1_epi8(static_cast<char>(0x88)))}; }
GRUCORE_INLINE I8 biased(I8 weights) { return weights; }

GRUCORE_INLINE I8 abs_bytes(I8 a) { return {_mm_abs_epi8(a.v)}; }
GRUCORE_INLINE I8 sign_bytes(I8 a, I8 by) { return {_mm_sign_epi8(a.v, by.v)}; }
// Sums of two neighbouring products, of unsigned and signed bytes.
GRUCORE_INLINE I16 multiply_bytes(I8 positive, I8 a) { return {_mm_maddubs_epi16(positive.v, a.v)}; }
// Sums of two neighbours, times kFactor.
template <int kFactor>
GRUCORE_INLINE I32 scaled_pairs(I16 a) {
  return {_mm_madd_epi16(a.v, _mm_set1_epi16(kFactor))};
}

template <int N>
GRUCORE_INLINE I32 shift_right_signed(I32 a) {
  return {_mm_srai_epi32(a.v, N)};
}
GRUCORE_INLINE F32 to_float(I32 a) { return {_mm_cvtepi32_ps(a.v)}; }
GRUCORE_INLINE void store_low_bytes(unsigned char* p, I32 a) {
  const __m128i bytes = _mm_shuffle_epi8(a.v, _mm_set1_epi32(0x0c080400));
  const int32_t four = _mm_cvtsi128_si32(bytes);
  __builtin_memcpy(p, &four, sizeof four);
}
GRUCORE_INLINE int32_t sum_lanes(I32 a) {
  const __m128i pairs = _mm_add_epi32(a.v, _mm_shuffle_epi32(a.v, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(pairs, _mm_shuffle_epi32(pairs, 0xb1)));
}
GRUCORE_INLINE float max_lanes(F32 a) {
  const __m128 pairs = _mm_max_ps(a.v, _mm_movehl_ps(a.v, a.v));
  return _mm_cvtss_f32(_mm_max_ss(pairs, _mm_shuffle_ps(pairs, pairs, 1)));
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
