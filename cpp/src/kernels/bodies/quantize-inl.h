// Rows of activations to integers, and how products read them. Included once per instruction set, inside its
// target region. docs/numerics.md has the arithmetic, kernel_table.h the layout.
// SPDX-License-Identifier: Apache-2.0

#if GRUCORE_FOURS
#include "kernels/bodies/fours_quantize-inl.h"
#endif

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// Below it a range is 0: its inverse might overflow.
constexpr float kLeastRange = 0x1p-100f;

struct Scaling {
  float scale, inverse;
};

// The largest magnitude of `count` numbers; NaN if one of them is not finite.
#if GRUCORE_FOURS
#elif defined(GRUCORE_PLAIN)
// As integers magnitudes have the same order, and a small core compares those faster.
GRUCORE_INLINE float largest(const float* x, uint32_t count) {
  int32_t most = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const int32_t magnitude = bits(load(x + i)).v & INT32_MAX;
    most = magnitude > most ? magnitude : most;
  }
  return most < 0x7f800000 ? bit_cast<float>(most) : __builtin_nanf("");
}
#else
GRUCORE_INLINE float largest(const float* x, uint32_t count) {
  F32 most = zero();
  Mask bad = lt(most, most);
  uint32_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const F32 values = load(x + i);
    most = max(most, abs(values));
    bad = mask_or(bad, is_nonfinite(values));
  }
  if (i < count) {
    const F32 values = load_n(x + i, static_cast<int>(count - i));
    most = max(most, abs(values));
    bad = mask_or(bad, is_nonfinite(values));
  }
  return any(bad) ? __builtin_nanf("") : max_lanes(most);
}
#endif

GRUCORE_INLINE Scaling scaling_of(const ProductArgs& args, const float* x, uint32_t count, float levels) {
  const float most = largest(x, count);
  if (most != most) return {most, 0.0f};
  float range = args.range > 0 ? args.range : most;
  if (range < args.least) range = args.least;
  if (range < kLeastRange) return {0.0f, 0.0f};
  return {range / levels, levels / range};
}

struct Quantizer {
  F32 inverse, levels;
  bool clamps;  // where the range was given, values may be outside of it
};

// Firmware has the numbers that may be clamped go the way of the last ones: one copy of that code less.
#if defined(GRUCORE_PLAIN)
constexpr bool kClampsMany = false;
#else
constexpr bool kClampsMany = true;
#endif

GRUCORE_INLINE I32 quantize_lanes(F32 x, const Quantizer& by, bool may_clamp) {
  F32 scaled = mul(x, by.inverse);
  if (may_clamp && by.clamps) scaled = max(neg(by.levels), min(by.levels, scaled));
  const F32 round = broadcast(0x1.8p23f);
  return sub(bits(add(scaled, round)), bits(round));
}

// The integers of one group of inputs, with zeros up to the end of the weights that stand together; returns their sum.
// `at` is a multiple of 4.
template <int kBits>
GRUCORE_INLINE int32_t quantize_group(const float* x, uint32_t count, const Quantizer& by, unsigned char* values,
                                      size_t at, size_t plane) {
  I32 sum = broadcast_i32(0);
  uint32_t i = 0;
  for (; (kClampsMany || !by.clamps) && i + kStored <= count; i += kStored) {
    I32 q[kStoredVectors];
    GRUCORE_UNROLL(4)
    for (int v = 0; v < kStoredVectors; ++v) {
      q[v] = quantize_lanes(load(x + i + v * kLanes), by, kClampsMany);
      sum = add(sum, q[v]);
    }
    store_activations<kBits>(values, at + i, plane, q);
  }
  for (; i < round_up(count, 8); i += kStored) {
    I32 q[kStoredVectors];
    for (int v = 0; v < kStoredVectors; ++v) {
      const uint32_t from = i + static_cast<uint32_t>(v * kLanes);
      const int left = count > from ? static_cast<int>(count - from) : 0;
      q[v] = quantize_lanes(load_n(x + from, left < kLanes ? left : kLanes), by, true);
      sum = add(sum, q[v]);
    }
    store_activations<kBits>(values, at + i, plane, q);
  }
  return sum_lanes(sum);
}

template <int kBits>
GRUCORE_INLINE void quantize_tap(const ProductArgs& args, const float* x, float levels, unsigned char* to) {
  const PackedWeights& weights = *args.weights;
  const uint32_t count = weights.inputs;
  const Scaling scaling = scaling_of(args, x, count, levels);
  __builtin_memcpy(to, &scaling.scale, sizeof scaling.scale);
  if (scaling.inverse == 0.0f) {
    __builtin_memset(to + 4, 0, weights.tap_bytes - 4);
    return;
  }
  // The product of the largest magnitude rounds to `levels`, those of the others to no more.
  const Quantizer by = {broadcast(scaling.inverse), broadcast(levels), args.range > 0};
  const uint32_t group = weights.kind == WeightKind::kInt8 ? kBlockInputs : kGroupInputs;
  unsigned char* sums = to;
  for (uint32_t first = 0; first < count; first += group) {
    const uint32_t left = count - first;
    const uint32_t inputs = left < group ? left : group;
#if GRUCORE_FOURS
    if (takes_bytes(weights)) {
      const uint32_t plane = weights.activation_bits == 8 ? 0 : weights.plane;
      const ToBytes to_bytes = {{scaling.inverse}, {levels}, by.clamps, plane};
      quantize_bytes(x + first, inputs, to_bytes, to + weights.header + first);
      continue;
    }
#endif
    const int32_t sum = quantize_group<kBits>(x + first, inputs, by, to + weights.header, first, weights.plane);
    __builtin_memcpy(sums += 4, &sum, sizeof sum);
  }
}

template <int kBits>
GRUCORE_INLINE void quantize_rows(const ProductArgs& args, float levels) {
  const PackedWeights& weights = *args.weights;
  for (uint32_t i = 0; i < args.rows.count; ++i) {
    const size_t row = row_at(args.rows, i);
    const float* x = args.x.data + row * args.x.stride;
    unsigned char* to = args.quantized.data + row * args.quantized.stride;
    for (uint32_t s = 0; s < weights.taps; ++s, x += weights.inputs, to += weights.tap_bytes) {
      quantize_tap<kBits>(args, x, levels, to);
    }
  }
}

[[maybe_unused]] GRUCORE_NOINLINE void quantize(const ProductArgs& args) {
  constexpr float kLevels8 = 127.0f, kLevels16 = 16383.0f;
  const bool is_narrow = args.weights->activation_bits == 8;
  if constexpr (activation_bytes(8) == activation_bytes(16)) {
    quantize_rows<16>(args, is_narrow ? kLevels8 : kLevels16);
  } else if (is_narrow) {
    quantize_rows<8>(args, kLevels8);
  } else {
    quantize_rows<16>(args, kLevels16);
  }
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
