// Vectors of 32 bytes on AVX2, also for AVX-VNNI. The contract of each operation stands in bytes_scalar.h.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, inside its target region, after vec_avx2.h.
namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kIntegerVectors = 3;

struct I8 {
  __m256i v;
};
struct I16 {
  __m256i v;
};

GRUCORE_INLINE I8 load_bytes(const unsigned char* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
// Where not all lanes are there, four are.
GRUCORE_INLINE I8 load_bytes_n(const unsigned char* p, int) {
  return {_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
GRUCORE_INLINE I8 broadcast_four(const unsigned char* p) {
  int32_t four;
  __builtin_memcpy(&four, p, sizeof four);
  return {_mm256_set1_epi32(four)};
}
GRUCORE_INLINE I8 low_nibbles(I8 a) { return {_mm256_and_si256(a.v, _mm256_set1_epi8(15))}; }
GRUCORE_INLINE I8 high_nibbles(I8 a) { return low_nibbles({_mm256_srli_epi16(a.v, 4)}); }
GRUCORE_INLINE I8 flip_nibbles(I8 a) { return {_mm256_xor_si256(a.v, _mm256_set1_epi8(static_cast<char>(0x88)))}; }

#if GRUCORE_HAS_DOT
constexpr int kWeightOffset = 128;
constexpr int kDotsInFlight = 6;
constexpr int kIntegerRows = 2;
GRUCORE_INLINE I8 biased(I8 weights) {
  return {_mm256_xor_si256(weights.v, _mm256_set1_epi8(static_cast<char>(0x80)))};
}
GRUCORE_INLINE I32 dot_add(I32 sum, I8 weights, I8 activations) {
  return {_mm256_dpbusd_avx_epi32(sum.v, weights.v, activations.v)};
}
GRUCORE_INLINE I32 dot_add_nibbles(I32 sum, I8 weights, I8 activations) { return dot_add(sum, weights, activations); }
#else
constexpr int kWeightOffset = 0;
constexpr int kDotsInFlight = 1;
constexpr int kIntegerRows = 2;
GRUCORE_INLINE I8 biased(I8 weights) { return weights; }
GRUCORE_INLINE I8 abs_bytes(I8 a) { return {_mm256_abs_epi8(a.v)}; }
GRUCORE_INLINE I8 sign_bytes(I8 a, I8 by) { return {_mm256_sign_epi8(a.v, by.v)}; }
GRUCORE_INLINE I16 multiply_bytes(I8 positive, I8 a) { return {_mm256_maddubs_epi16(positive.v, a.v)}; }
template <int kFactor>
GRUCORE_INLINE I32 scaled_pairs(I16 a) {
  return {_mm256_madd_epi16(a.v, _mm256_set1_epi16(kFactor))};
}
#endif

template <int N>
GRUCORE_INLINE I32 shift_right_signed(I32 a) {
  return {_mm256_srai_epi32(a.v, N)};
}
GRUCORE_INLINE F32 to_float(I32 a) { return {_mm256_cvtepi32_ps(a.v)}; }
GRUCORE_INLINE void store_low_bytes(unsigned char* p, I32 a) {
  const __m256i fours = _mm256_shuffle_epi8(a.v, _mm256_set1_epi32(0x0c080400));
  const __m256i eight = _mm256_permutevar8x32_epi32(fours, _mm256_setr_epi32(0, 4, 0, 0, 0, 0, 0, 0));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(eight));
}
GRUCORE_INLINE int32_t sum_lanes(I32 a) {
  const __m128i halves = _mm_add_epi32(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1));
  const __m128i pairs = _mm_add_epi32(halves, _mm_shuffle_epi32(halves, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(pairs, _mm_shuffle_epi32(pairs, 0xb1)));
}
GRUCORE_INLINE float max_lanes(F32 a) {
  const __m128 halves = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 pairs = _mm_max_ps(halves, _mm_movehl_ps(halves, halves));
  return _mm_cvtss_f32(_mm_max_ss(pairs, _mm_shuffle_ps(pairs, pairs, 1)));
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
