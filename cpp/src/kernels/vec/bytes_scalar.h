// Four bytes of one lane in a word, in plain C++ and in the instructions of Arm's small cores that multiply two pairs
// of 16-bit numbers at once; the contract of each operation. SPDX-License-Identifier: Apache-2.0 No include guard:
// included once per kernel file, after vec_scalar.h.

#if defined(__ARM_FEATURE_SIMD32) && defined(__GNUC__)
#define GRUCORE_SMLAD 1
#else
#define GRUCORE_SMLAD 0
#endif

namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kWeightOffset = 0;    // what `biased` adds to every weight
constexpr int kDotsInFlight = 1;    // independent sums that hide the latency of add_products
constexpr int kIntegerRows = 1;     // rows of activations that share a load of weights
constexpr int kIntegerVectors = 4;  // vectors of weights that share a load of activations

struct I8 {
  uint32_t v;
};

#if defined(__GNUC__)
#define GRUCORE_ALIGNED(p) __builtin_assume_aligned(p, 4)
#else
#define GRUCORE_ALIGNED(p) (p)
#endif

// p is a multiple of 4 in all of these; of other vectors of bytes any alignment is enough.
GRUCORE_INLINE I8 load_bytes(const unsigned char* p) {
  I8 r;
  __builtin_memcpy(&r.v, GRUCORE_ALIGNED(p), sizeof r.v);
  return r;
}
// For the first `lanes` lanes; the rest may be anything.
GRUCORE_INLINE I8 load_bytes_n(const unsigned char* p, int lanes) { return lanes ? load_bytes(p) : I8{0}; }
GRUCORE_INLINE I8 low_nibbles(I8 a) { return {a.v & 0x0f0f0f0fu}; }
GRUCORE_INLINE I8 high_nibbles(I8 a) { return {a.v >> 4 & 0x0f0f0f0fu}; }
// Every nibble plus 8, modulo 16.
GRUCORE_INLINE I8 flip_nibbles(I8 a) { return {a.v ^ 0x88888888u}; }
// Weights as add_products wants them.
GRUCORE_INLINE I8 biased(I8 weights) { return weights; }

// Four activations as they stand in memory and as products want them: bytes, or 16-bit numbers 0, 2, 1, 3, so that the
// two of a word are those that one instruction makes of a word of bytes.
#if GRUCORE_SMLAD
struct FourNumbers {
  uint32_t even, odd;
};
GRUCORE_INLINE uint32_t even_bytes(uint32_t word) {
  uint32_t pair;
  __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(word));
  return pair;
}
GRUCORE_INLINE uint32_t odd_bytes(uint32_t word) {
  uint32_t pair;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
  return pair;
}
GRUCORE_INLINE int32_t add_pair(int32_t sum, uint32_t a, uint32_t b) {
  int32_t result;
  __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}
GRUCORE_INLINE FourNumbers four_bytes(const unsigned char* p) {
  const I8 bytes = load_bytes(p);
  return {even_bytes(bytes.v), odd_bytes(bytes.v)};
}
GRUCORE_INLINE FourNumbers four_numbers(const unsigned char* p) {
  const uint32_t first = load_bytes(p).v, second = load_bytes(p + 4).v;
  return {first, second};
}
// The sum plus four products: of weights from -127 to 127 or 0 to 15.
GRUCORE_INLINE I32 add_four(I32 sum, I8 weights, const FourNumbers& x) {
  return {add_pair(add_pair(sum.v, even_bytes(weights.v), x.even), odd_bytes(weights.v), x.odd)};
}
#else
struct FourNumbers {
  int32_t v[4];
};
template <int N>
GRUCORE_INLINE int32_t byte_of(uint32_t word) {
  return static_cast<int8_t>(word >> (8 * N));
}
GRUCORE_INLINE int32_t number_at(const unsigned char* p) {
  int16_t number;
  __builtin_memcpy(&number, p, sizeof number);
  return number;
}
GRUCORE_INLINE FourNumbers four_bytes(const unsigned char* p) {
  const uint32_t word = load_bytes(p).v;
  return {{byte_of<0>(word), byte_of<1>(word), byte_of<2>(word), byte_of<3>(word)}};
}
GRUCORE_INLINE FourNumbers four_numbers(const unsigned char* p) {
  return {{number_at(p), number_at(p + 4), number_at(p + 2), number_at(p + 6)}};
}
GRUCORE_INLINE I32 add_four(I32 sum, I8 weights, const FourNumbers& x) {
  return {sum.v + byte_of<0>(weights.v) * x.v[0] + byte_of<1>(weights.v) * x.v[1] + byte_of<2>(weights.v) * x.v[2] +
          byte_of<3>(weights.v) * x.v[3]};
}
#endif

GRUCORE_INLINE uint32_t low_half(I32 a) { return as_unsigned(a.v) & 0xffffu; }
GRUCORE_INLINE uint32_t low_byte(I32 a) { return as_unsigned(a.v) & 0xffu; }
GRUCORE_INLINE void store_four_numbers(unsigned char* p, const I32 (&q)[4]) {
  const uint32_t first = low_half(q[0]) | as_unsigned(q[2].v) << 16;
  const uint32_t second = low_half(q[1]) | as_unsigned(q[3].v) << 16;
  __builtin_memcpy(GRUCORE_ALIGNED(p), &first, sizeof first);
  __builtin_memcpy(GRUCORE_ALIGNED(p + 4), &second, sizeof second);
}
GRUCORE_INLINE void store_four_bytes(unsigned char* p, const I32 (&q)[4]) {
  const uint32_t word = low_byte(q[0]) | low_byte(q[1]) << 8 | low_byte(q[2]) << 16 | as_unsigned(q[3].v) << 24;
  __builtin_memcpy(GRUCORE_ALIGNED(p), &word, sizeof word);
}

GRUCORE_INLINE F32 to_float(I32 a) { return {static_cast<float>(a.v)}; }
GRUCORE_INLINE int32_t sum_lanes(I32 a) { return a.v; }
GRUCORE_INLINE float max_lanes(F32 a) { return a.v; }  // of numbers

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
