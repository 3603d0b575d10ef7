// The Vec API on the vectors of RISC-V, of 128 bits and more: 4 lanes. The contract of each operation stands in
// vec_scalar.h.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, after <stdint.h>.
// In vectors of the compilers' own, which make instructions of a fixed length of them: intrinsics have types without a
// size, which no struct may hold.
namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kLanes = 4;
constexpr bool kFused = true;

typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Integers __attribute__((vector_size(16)));
typedef uint32_t Words __attribute__((vector_size(16)));
typedef uint16_t FourHalves __attribute__((vector_size(8)));

// Copied by a constructor: a plain struct of 16 bytes goes through two core registers on its way into a function, also
// where the call is inlined.
#define GRUCORE_VECTOR(name, type)                  \
  struct name {                                     \
    type v;                                         \
    name() = default;                               \
    GRUCORE_INLINE name(type x) : v(x) {}           \
    GRUCORE_INLINE name(const name& x) : v(x.v) {}  \
    GRUCORE_INLINE name& operator=(const name& x) { \
      v = x.v;                                      \
      return *this;                                 \
    }                                               \
  }
GRUCORE_VECTOR(F32, Floats);
GRUCORE_VECTOR(I32, Integers);
GRUCORE_VECTOR(U32, Words);
GRUCORE_VECTOR(Mask, Integers);

GRUCORE_INLINE F32 broadcast(float x) { return {Floats{x, x, x, x}}; }
GRUCORE_INLINE I32 broadcast_i32(int32_t x) { return {Integers{x, x, x, x}}; }
GRUCORE_INLINE F32 zero() { return broadcast(0.0f); }

GRUCORE_INLINE I32 bits(F32 a) { return {reinterpret_cast<Integers>(a.v)}; }
GRUCORE_INLINE F32 from_bits(I32 a) { return {reinterpret_cast<Floats>(a.v)}; }
GRUCORE_INLINE U32 words(I32 a) { return {reinterpret_cast<Words>(a.v)}; }
GRUCORE_INLINE I32 from_words(U32 a) { return {reinterpret_cast<Integers>(a.v)}; }

template <int N>
GRUCORE_INLINE F32 load_lanes(const float* p) {
  static_assert(N >= 1 && N <= kLanes, "lanes");
  F32 r = zero();
  __builtin_memcpy(&r.v, p, N * sizeof *p);
  return r;
}
template <int N>
GRUCORE_INLINE void store_lanes(float* p, F32 a) {
  static_assert(N >= 1 && N <= kLanes, "lanes");
  __builtin_memcpy(p, &a.v, N * sizeof *p);
}
GRUCORE_INLINE F32 load(const float* p) { return load_lanes<4>(p); }
GRUCORE_INLINE void store(float* p, F32 a) { store_lanes<4>(p, a); }
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

GRUCORE_INLINE F32 add(F32 a, F32 b) { return {a.v + b.v}; }
GRUCORE_INLINE F32 sub(F32 a, F32 b) { return {a.v - b.v}; }
GRUCORE_INLINE F32 mul(F32 a, F32 b) { return {a.v * b.v}; }
GRUCORE_INLINE F32 div(F32 a, F32 b) { return {a.v / b.v}; }
#if defined(__clang__)
GRUCORE_INLINE F32 sqrt(F32 a) { return {__builtin_elementwise_sqrt(a.v)}; }
GRUCORE_INLINE F32 mul_add(F32 a, F32 b, F32 c) { return {__builtin_elementwise_fma(a.v, b.v, c.v)}; }
GRUCORE_INLINE bool any(Mask a) { return __builtin_reduce_or(a.v) != 0; }
#else
GRUCORE_INLINE F32 sqrt(F32 a) {
  for (int i = 0; i < kLanes; ++i) a.v[i] = __builtin_sqrtf(a.v[i]);
  return a;
}
GRUCORE_INLINE F32 mul_add(F32 a, F32 b, F32 c) {
  for (int i = 0; i < kLanes; ++i) c.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  return c;
}
GRUCORE_INLINE bool any(Mask a) { return (a.v[0] | a.v[1] | a.v[2] | a.v[3]) != 0; }
#endif

GRUCORE_INLINE I32 add(I32 a, I32 b) { return from_words(words(a).v + words(b).v); }
GRUCORE_INLINE I32 sub(I32 a, I32 b) { return from_words(words(a).v - words(b).v); }
GRUCORE_INLINE I32 bit_and(I32 a, I32 b) { return {a.v & b.v}; }
GRUCORE_INLINE I32 bit_or(I32 a, I32 b) { return {a.v | b.v}; }
GRUCORE_INLINE I32 bit_xor(I32 a, I32 b) { return {a.v ^ b.v}; }
template <int N>
GRUCORE_INLINE I32 shift_left(I32 a) {
  return from_words(words(a).v << N);
}
template <int N>
GRUCORE_INLINE I32 shift_right(I32 a) {
  return from_words(words(a).v >> N);
}

GRUCORE_INLINE F32 neg(F32 a) { return {-a.v}; }
GRUCORE_INLINE F32 abs(F32 a) { return from_bits(bit_and(bits(a), broadcast_i32(INT32_MAX))); }

GRUCORE_INLINE F32 exact_mul_add(F32 a, F32 b, F32 c) { return mul_add(a, b, c); }
GRUCORE_INLINE F32 exact_mul_sub(F32 a, F32 b, F32 c) { return mul_add(a, b, neg(c)); }
// The instructions order zeros, and drop a NaN: not this API's contract.
GRUCORE_INLINE F32 max(F32 a, F32 b) { return {a.v > b.v ? a.v : b.v}; }
GRUCORE_INLINE F32 min(F32 a, F32 b) { return {a.v < b.v ? a.v : b.v}; }

GRUCORE_INLINE Mask lt(F32 a, F32 b) { return {a.v < b.v}; }
GRUCORE_INLINE Mask gt(F32 a, F32 b) { return {a.v > b.v}; }
GRUCORE_INLINE Mask eq(F32 a, F32 b) { return {a.v == b.v}; }
GRUCORE_INLINE Mask is_nan(F32 a) { return {a.v != a.v}; }
GRUCORE_INLINE Mask is_nonfinite(F32 a) { return {bits(abs(a)).v >= broadcast_i32(0x7f800000).v}; }
GRUCORE_INLINE Mask mask_and(Mask a, Mask b) { return {a.v & b.v}; }
GRUCORE_INLINE Mask mask_or(Mask a, Mask b) { return {a.v | b.v}; }
GRUCORE_INLINE F32 select(Mask m, F32 if_true, F32 if_false) { return {m.v ? if_true.v : if_false.v}; }
GRUCORE_INLINE F32 zero_if(Mask m, F32 a) { return select(m, zero(), a); }
GRUCORE_INLINE F32 flush_denormals(F32 a) { return zero_if({bits(abs(a)).v < broadcast_i32(0x00800000).v}, a); }

// The bits moved into place, as in half_to_float: not all of these machines convert halves.
GRUCORE_INLINE F32 load_half(const uint16_t* p) {
  FourHalves four;
  __builtin_memcpy(&four, p, sizeof four);
  const I32 halves = from_words(__builtin_convertvector(four, Words));
  const I32 magnitude = shift_left<13>(bit_and(halves, broadcast_i32(0x7fff)));
  const Mask is_small = {magnitude.v < broadcast_i32(0x00800000).v};
  const F32 large = from_bits(add(magnitude, broadcast_i32(0x38000000)));
  const F32 small = sub(from_bits(add(magnitude, broadcast_i32(0x38800000))), broadcast(0x1p-14f));
  const I32 sign = shift_left<16>(bit_and(halves, broadcast_i32(0x8000)));
  return from_bits(bit_or(bits(select(is_small, small, large)), sign));
}
GRUCORE_INLINE F32 load_half_n(const uint16_t* p, int n) {
  uint16_t halves[kLanes] = {};
  __builtin_memcpy(halves, p, sizeof *p * static_cast<unsigned>(n));
  return load_half(halves);
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
