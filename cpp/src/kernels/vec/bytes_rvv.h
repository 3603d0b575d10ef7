// Vectors of 16 bytes on RISC-V, four of one row in each lane, multiplied as 16-bit numbers. The contract of each
// operation stands in bytes_scalar.h and bodies/dots_wide-inl.h.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, after vec_rvv.h.
namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kWeightOffset = 0;
constexpr int kDotsInFlight = 1;
constexpr int kIntegerRows = 1;
constexpr int kIntegerVectors = 6;

typedef int8_t FourBytes __attribute__((vector_size(4)));
typedef int16_t FourShorts __attribute__((vector_size(8)));
typedef int16_t Shorts __attribute__((vector_size(16)));
typedef uint16_t WordHalves __attribute__((vector_size(16)));
typedef int32_t Pairs __attribute__((vector_size(32)));

GRUCORE_VECTOR(I8, Words);
GRUCORE_VECTOR(I16, Shorts);
#undef GRUCORE_VECTOR

// p is a multiple of 4 in all of these, which spares loads of single bytes.
GRUCORE_INLINE I8 load_bytes(const unsigned char* p) {
  Words r;
  __builtin_memcpy(&r, __builtin_assume_aligned(p, 4), sizeof r);
  return r;
}
GRUCORE_INLINE I8 load_bytes_n(const unsigned char* p, int) { return load_bytes(p); }
GRUCORE_INLINE I8 low_nibbles(I8 a) { return {a.v & 0x0f0f0f0fu}; }
GRUCORE_INLINE I8 high_nibbles(I8 a) { return {a.v >> 4 & 0x0f0f0f0fu}; }
GRUCORE_INLINE I8 flip_nibbles(I8 a) { return {a.v ^ 0x88888888u}; }
GRUCORE_INLINE I8 biased(I8 weights) { return weights; }

// Bytes 0 and 2 of each word, or 1 and 3, with their signs.
GRUCORE_INLINE I16 even_bytes(I8 a) { return reinterpret_cast<Shorts>(reinterpret_cast<WordHalves>(a.v) << 8) >> 8; }
GRUCORE_INLINE I16 odd_bytes(I8 a) { return reinterpret_cast<Shorts>(a.v) >> 8; }

// Four activations in every lane: numbers 0 and 2, and numbers 1 and 3. Those of 16 bits stand in memory as 0, 2, 1, 3.
struct FourNumbers {
  I16 even, odd;
};
GRUCORE_INLINE I8 word_at(const unsigned char* p) {
  uint32_t word;
  __builtin_memcpy(&word, __builtin_assume_aligned(p, 4), sizeof word);
  return Words{word, word, word, word};
}
GRUCORE_INLINE FourNumbers four_bytes(const unsigned char* p) {
  const I8 bytes = word_at(p);
  return {even_bytes(bytes), odd_bytes(bytes)};
}
GRUCORE_INLINE FourNumbers four_numbers(const unsigned char* p) {
  return {reinterpret_cast<Shorts>(word_at(p).v), reinterpret_cast<Shorts>(word_at(p + 4).v)};
}
GRUCORE_INLINE void store_four_numbers(unsigned char* p, const I32 (&q)[1]) {
  const Integers in_order = {q[0].v[0], q[0].v[2], q[0].v[1], q[0].v[3]};
  const FourShorts numbers = __builtin_convertvector(in_order, FourShorts);
  __builtin_memcpy(__builtin_assume_aligned(p, 4), &numbers, sizeof numbers);
}
GRUCORE_INLINE void store_four_bytes(unsigned char* p, const I32 (&q)[1]) {
  const FourBytes bytes = __builtin_convertvector(q[0].v, FourBytes);
  __builtin_memcpy(__builtin_assume_aligned(p, 4), &bytes, sizeof bytes);
}

// Two sums for each row: of inputs 0 and 1, and of inputs 2 and 3.
GRUCORE_INLINE Pairs add_pairs(Pairs sum, I8 weights, const FourNumbers& x) {
  const auto wide = [](I16 a) { return __builtin_convertvector(a.v, Pairs); };
  sum += wide(even_bytes(weights)) * wide(x.even);
  return sum + wide(odd_bytes(weights)) * wide(x.odd);
}
GRUCORE_INLINE I32 join_pairs(Pairs sum) {
  const Integers first = __builtin_shufflevector(sum, sum, 0, 2, 4, 6);
  return {first + __builtin_shufflevector(sum, sum, 1, 3, 5, 7)};
}

GRUCORE_INLINE F32 to_float(I32 a) { return {__builtin_convertvector(a.v, Floats)}; }
GRUCORE_INLINE int32_t sum_lanes(I32 a) { return a.v[0] + a.v[1] + a.v[2] + a.v[3]; }
GRUCORE_INLINE float max_lanes(F32 a) {
  const float low = a.v[0] > a.v[1] ? a.v[0] : a.v[1], high = a.v[2] > a.v[3] ? a.v[2] : a.v[3];
  return low > high ? low : high;
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
