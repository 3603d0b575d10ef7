// Vectors of bytes in plain C++, four for each lane of a float vector; the contract of each operation.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, after vec_scalar.h.
namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kWeightOffset = 0;    // what `biased` adds to every weight
constexpr int kDotsInFlight = 1;    // independent sums that hide the latency of dot_add
constexpr int kIntegerRows = 1;     // rows of activations that share a load of weights
constexpr int kIntegerVectors = 1;  // vectors of weights that share a load of activations

struct I8 {
  uint8_t v[4 * kLanes];
};

// Any alignment is enough.
GRUCORE_INLINE I8 load_bytes(const unsigned char* p) {
  I8 r;
  __builtin_memcpy(r.v, p, sizeof r.v);
  return r;
}
// Of the first `lanes` lanes; the rest may be anything.
GRUCORE_INLINE I8 load_bytes_n(const unsigned char* p, int lanes) {
  I8 r = {};
  for (int i = 0; i < 4 * lanes; ++i) r.v[i] = p[i];
  return r;
}
// The same four bytes in every lane.
GRUCORE_INLINE I8 broadcast_four(const unsigned char* p) {
  I8 r;
  for (int i = 0; i < 4 * kLanes; ++i) r.v[i] = p[i % 4];
  return r;
}
GRUCORE_INLINE I8 low_nibbles(I8 a) {
  for (int i = 0; i < 4 * kLanes; ++i) a.v[i] &= 15;
  return a;
}
GRUCORE_INLINE I8 high_nibbles(I8 a) {
  for (int i = 0; i < 4 * kLanes; ++i) a.v[i] >>= 4;
  return a;
}
// Every nibble plus 8, modulo 16.
GRUCORE_INLINE I8 flip_nibbles(I8 a) {
  for (int i = 0; i < 4 * kLanes; ++i) a.v[i] ^= 0x88;
  return a;
}
// Weights as dot_add wants them.
GRUCORE_INLINE I8 biased(I8 weights) { return weights; }

// Each lane plus the four products of its bytes: of biased weights from -127 to 127 and activations from -128 to 127.
GRUCORE_INLINE I32 dot_add(I32 sum, I8 weights, I8 activations) {
  for (int i = 0; i < 4 * kLanes; ++i) {
    const int product = static_cast<int8_t>(weights.v[i]) * static_cast<int8_t>(activations.v[i]);
    sum.v[i / 4] = as_signed(as_unsigned(sum.v[i / 4]) + static_cast<uint32_t>(product));
  }
  return sum;
}
// The same of weights from 0 to 15, not biased.
GRUCORE_INLINE I32 dot_add_nibbles(I32 sum, I8 weights, I8 activations) { return dot_add(sum, weights, activations); }

template <int N>
GRUCORE_INLINE I32 shift_right_signed(I32 a) {
  for (int i = 0; i < kLanes; ++i) a.v[i] >>= N;
  return a;
}
GRUCORE_INLINE F32 to_float(I32 a) {
  F32 r;
  for (int i = 0; i < kLanes; ++i) r.v[i] = static_cast<float>(a.v[i]);
  return r;
}
// The low byte of each lane.
GRUCORE_INLINE void store_low_bytes(unsigned char* p, I32 a) {
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<unsigned char>(a.v[i]);
}
GRUCORE_INLINE int32_t sum_lanes(I32 a) {
  uint32_t sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += as_unsigned(a.v[i]);
  return as_signed(sum);
}
GRUCORE_INLINE float max_lanes(F32 a) {  // of numbers
  float most = a.v[0];
  for (int i = 1; i < kLanes; ++i) most = a.v[i] > most ? a.v[i] : most;
  return most;
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
