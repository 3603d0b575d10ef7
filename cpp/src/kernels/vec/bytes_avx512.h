// Vectors of 64 bytes on AVX-512, with and without VNNI. The contract of each operation stands in bytes_scalar.h.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, inside its target region, after vec_avx512.h.
namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kIntegerVectors = 3;

struct I8 {
  __m512i v;
};
struct I16 {
  __m512i v;
};

GRUCORE_INLINE I8 load_bytes(const unsigned char* p) { return {_mm512_loadu_si512(p)}; }
GRUCORE_INLINE I8 load_bytes_n(const unsigned char* p, int lanes) {
  return {_mm512_maskz_loadu_epi32(first_lanes(lanes), p)};
}
GRUCORE_INLINE I8 broadcast_four(const unsigned char* p) {
  int32_t four;
  __builtin_memcpy(&four, p, sizeof four);
  return {_mm512_set1_epi32(four)};
}
// Four bytes of p in the lower half of the lanes, of q in the upper one.
#define GRUCORE_HALVES 1
GRUCORE_INLINE I8 broadcast_fours(const unsigned char* p, const unsigned char* q) {
  int32_t low, high;
  __builtin_memcpy(&low, p, sizeof low);
  __builtin_memcpy(&high, q, sizeof high);
  return {_mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set1_epi32(low)), _mm256_set1_epi32(high), 1)};
}
// The sums of both halves: of a in the lower one, of b in the upper one.
GRUCORE_INLINE I32 join_halves(I32 a, I32 b) {
  const __m512i low = _mm512_inserti64x4(a.v, _mm512_castsi512_si256(b.v), 1);
  return {_mm512_add_epi32(low, _mm512_shuffle_i64x2(a.v, b.v, 0xee))};
}
GRUCORE_INLINE I8 low_nibbles(I8 a) { return {_mm512_and_si512(a.v, _mm512_set1_epi8(15))}; }
GRUCORE_INLINE I8 high_nibbles(I8 a) { return low_nibbles({_mm512_srli_epi16(a.v, 4)}); }
GRUCORE_INLINE I8 flip_nibbles(I8 a) { return {_mm512_xor_si512(a.v, _mm512_set1_epi8(static_cast<char>(0x88)))}; }

#if GRUCORE_HAS_DOT
constexpr int kWeightOffset = 128;
constexpr int kDotsInFlight = 6;
constexpr int kIntegerRows = 4;
GRUCORE_INLINE I8 biased(I8 weights) {
  return {_mm512_xor_si512(weights.v, _mm512_set1_epi8(static_cast<char>(0x80)))};
}
GRUCORE_INLINE I32 dot_add(I32 sum, I8 weights, I8 activations) {
#if defined(__GNUC__)
  // GCC 12 copies the sums of the intrinsic from register to register: a tenth of the time of a step.
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum.v) : "v"(weights.v), "v"(activations.v));
  return sum;
#else
  return {_mm512_dpbusd_epi32(sum.v, weights.v, activations.v)};
#endif
}
GRUCORE_INLINE I32 dot_add_nibbles(I32 sum, I8 weights, I8 activations) { return dot_add(sum, weights, activations); }
// Nibbles flipped in the same operation, the upper ones where they stand: 16 times what they mean.
#define GRUCORE_NIBBLES_STAY 1
GRUCORE_INLINE I8 flipped_nibbles(I8 a, int which, int flips) {
  constexpr int kAndThenXor = 0x6a;
  return {_mm512_ternarylogic_epi32(a.v, _mm512_set1_epi8(static_cast<char>(which)),
                                    _mm512_set1_epi8(static_cast<char>(flips)), kAndThenXor)};
}
GRUCORE_INLINE I8 low_flipped(I8 a) { return flipped_nibbles(a, 0x0f, 0x08); }
GRUCORE_INLINE I8 high_flipped(I8 a) { return flipped_nibbles(a, 0xf0, 0x80); }
#else
constexpr int kWeightOffset = 0;
constexpr int kDotsInFlight = 1;
constexpr int kIntegerRows = 1;
GRUCORE_INLINE I8 biased(I8 weights) { return weights; }
GRUCORE_INLINE I8 abs_bytes(I8 a) { return {_mm512_abs_epi8(a.v)}; }
GRUCORE_INLINE I8 sign_bytes(I8 a, I8 by) {  // but where `by` is 0, where the other factor is 0 too
  return {_mm512_mask_sub_epi8(a.v, _mm512_movepi8_mask(by.v), _mm512_setzero_si512(), a.v)};
}
GRUCORE_INLINE I16 multiply_bytes(I8 positive, I8 a) { return {_mm512_maddubs_epi16(positive.v, a.v)}; }
template <int kFactor>
GRUCORE_INLINE I32 scaled_pairs(I16 a) {
  return {_mm512_madd_epi16(a.v, _mm512_set1_epi16(kFactor))};
}
#endif

template <int N>
GRUCORE_INLINE I32 shift_right_signed(I32 a) {
  return {_mm512_srai_epi32(a.v, N)};
}
GRUCORE_INLINE F32 to_float(I32 a) { return {_mm512_cvtepi32_ps(a.v)}; }
GRUCORE_INLINE void store_low_bytes(unsigned char* p, I32 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v));
}
GRUCORE_INLINE int32_t sum_lanes(I32 a) { return _mm512_reduce_add_epi32(a.v); }
GRUCORE_INLINE float max_lanes(F32 a) { return _mm512_reduce_max_ps(a.v); }

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
