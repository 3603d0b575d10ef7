// Vectors of 16 bytes on WebAssembly SIMD, multiplied as 16-bit numbers. The contract of each operation stands in
// bytes_scalar.h and bodies/dots_halves-inl.h.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, after vec_simd128.h.
namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr int kWeightOffset = 0;
constexpr int kDotsInFlight = 1;
constexpr int kIntegerRows = 1;
constexpr int kIntegerVectors = 3;

struct I8 {
  v128_t v;
};

GRUCORE_INLINE I8 load_bytes(const unsigned char* p) { return {wasm_v128_load(p)}; }
GRUCORE_INLINE I8 load_bytes_n(const unsigned char* p, int) { return load_bytes(p); }
GRUCORE_INLINE I8 low_nibbles(I8 a) { return {wasm_v128_and(a.v, wasm_i8x16_const_splat(15))}; }
GRUCORE_INLINE I8 high_nibbles(I8 a) { return {wasm_u8x16_shr(a.v, 4)}; }
GRUCORE_INLINE I8 flip_nibbles(I8 a) { return {wasm_v128_xor(a.v, wasm_u8x16_const_splat(0x88))}; }
GRUCORE_INLINE I8 biased(I8 weights) { return weights; }

// Four activations as 16-bit numbers, twice.
struct FourNumbers {
  v128_t v;
};
GRUCORE_INLINE FourNumbers four_bytes(const unsigned char* p) {
  return {wasm_i16x8_extend_low_i8x16(wasm_v128_load32_splat(p))};
}
GRUCORE_INLINE FourNumbers four_numbers(const unsigned char* p) { return {wasm_v128_load64_splat(p)}; }
GRUCORE_INLINE void store_four_numbers(unsigned char* p, const I32 (&q)[1]) {
  wasm_v128_store64_lane(p, wasm_i16x8_narrow_i32x4(q[0].v, q[0].v), 0);
}
GRUCORE_INLINE void store_four_bytes(unsigned char* p, const I32 (&q)[1]) {
  const v128_t numbers = wasm_i16x8_narrow_i32x4(q[0].v, q[0].v);
  wasm_v128_store32_lane(p, wasm_i8x16_narrow_i16x8(numbers, numbers), 0);
}

// Two sums for each of four rows: of inputs 0 and 1, and of inputs 2 and 3; the first two rows, and the others.
GRUCORE_INLINE I32 add_low_rows(I32 sum, I8 weights, FourNumbers x) {
  return {wasm_i32x4_add(sum.v, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_low_i8x16(weights.v), x.v))};
}
GRUCORE_INLINE I32 add_high_rows(I32 sum, I8 weights, FourNumbers x) {
  return {wasm_i32x4_add(sum.v, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_high_i8x16(weights.v), x.v))};
}
// Only the first of the two sums of a row starts from `start`.
GRUCORE_INLINE I32 start_of_pairs(int32_t start) { return {wasm_i32x4_make(start, 0, start, 0)}; }
// One sum for each row.
GRUCORE_INLINE I32 join_rows(I32 low, I32 high) {
  return {wasm_i32x4_add(wasm_i32x4_shuffle(low.v, high.v, 0, 2, 4, 6), wasm_i32x4_shuffle(low.v, high.v, 1, 3, 5, 7))};
}

GRUCORE_INLINE F32 to_float(I32 a) { return {wasm_f32x4_convert_i32x4(a.v)}; }
GRUCORE_INLINE int32_t sum_lanes(I32 a) {
  const v128_t pairs = wasm_i32x4_add(a.v, wasm_i32x4_shuffle(a.v, a.v, 2, 3, 0, 1));
  return wasm_i32x4_extract_lane(wasm_i32x4_add(pairs, wasm_i32x4_shuffle(pairs, pairs, 1, 0, 3, 2)), 0);
}
GRUCORE_INLINE float max_lanes(F32 a) {
  const v128_t pairs = wasm_f32x4_pmax(a.v, wasm_i32x4_shuffle(a.v, a.v, 2, 3, 0, 1));
  return wasm_f32x4_extract_lane(wasm_f32x4_pmax(pairs, wasm_i32x4_shuffle(pairs, pairs, 1, 0, 3, 2)), 0);
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
