// Rows of activations to integers, and how products read them. Included once per instruction set, inside its
// target region. What is computed stands in docs/numerics.md, the layout in kernel_table.h.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// Below it a range is 0: its inverse might overflow.
constexpr float kLeastRange = 0x1p-100f;

struct Scaling {
  float scale, inverse;
};

template <int kBits>
GRUCORE_INLINE Scaling scaling_of(const ProductArgs& args, const float* x, uint32_t count) {
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
  if (any(bad)) return {__builtin_nanf(""), 0.0f};
  float range = args.range > 0 ? args.range : max_lanes(most);
  if (range < args.least) range = args.least;
  if (range < kLeastRange) return {0.0f, 0.0f};
  constexpr float kLevels = kBits == 8 ? 127.0f : 16383.0f;
  return {range / kLevels, kLevels / range};
}

template <int kBits>
GRUCORE_INLINE I32 quantize_lanes(F32 x, F32 inverse, unsigned char* upper, unsigned char* lower) {
  const F32 levels = broadcast(kBits == 8 ? 127.0f : 16383.0f);
  const F32 inside = max(neg(levels), min(levels, mul(x, inverse)));
  const F32 round = broadcast(0x1.8p23f);
  const I32 q = sub(bits(add(inside, round)), bits(round));
  if constexpr (kBits == 16) {
    store_low_bytes(upper, shift_right_signed<7>(q));
    store_low_bytes(lower, bit_and(q, broadcast_i32(127)));
  } else {
    store_low_bytes(upper, q);
  }
  return q;
}

// The integers of one group, with zeros up to the end of its last group of weights; returns their sum.
template <int kBits>
GRUCORE_INLINE int32_t quantize_group(const float* x, uint32_t count, F32 inverse, unsigned char* upper,
                                      unsigned char* lower) {
  I32 sum = broadcast_i32(0);
  uint32_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    sum = add(sum, quantize_lanes<kBits>(load(x + i), inverse, upper + i, lower + i));
  }
  for (; i < round_up(count, 8); i += kLanes) {
    const int left = count > i ? static_cast<int>(count - i) : 0;
    sum = add(sum, quantize_lanes<kBits>(load_n(x + i, left), inverse, upper + i, lower + i));
  }
  return sum_lanes(sum);
}

template <int kBits>
GRUCORE_INLINE void quantize_segment(const ProductArgs& args, const float* x, unsigned char* to) {
  const PackedWeights& weights = *args.weights;
  const uint32_t count = weights.inputs;
  const Scaling scaling = scaling_of<kBits>(args, x, count);
  unsigned char* upper = to + weights.header;
  __builtin_memcpy(to, &scaling.scale, sizeof scaling.scale);
  if (scaling.inverse == 0.0f) {
    __builtin_memset(to + 4, 0, 4 * weights.sums);
    __builtin_memset(upper, 0, weights.segment_bytes - weights.header);
    return;
  }
  const F32 inverse = broadcast(scaling.inverse);
  const uint32_t group = weights.kind == WeightKind::kInt8 ? kBlockInputs : kGroupInputs;
  unsigned char* sums = to;
  for (uint32_t first = 0; first < count; first += group, upper += group) {
    const uint32_t left = count - first;
    const int32_t sum =
        quantize_group<kBits>(x + first, left < group ? left : group, inverse, upper, upper + weights.plane);
    __builtin_memcpy(sums += 4, &sum, sizeof sum);
  }
}

template <int kBits>
GRUCORE_INLINE void quantize_rows(const ProductArgs& args) {
  const PackedWeights& weights = *args.weights;
  for (uint32_t i = 0; i < args.rows.count; ++i) {
    const size_t row = row_at(args.rows, i);
    const float* x = args.x.data + row * args.x.stride;
    unsigned char* to = args.quantized.data + row * args.quantized.stride;
    for (uint32_t s = 0; s < weights.segments; ++s, x += weights.inputs, to += weights.segment_bytes) {
      quantize_segment<kBits>(args, x, to);
    }
  }
}

GRUCORE_NOINLINE void quantize(const ProductArgs& args) {
  if (args.weights->activation_bits == 8) {
    quantize_rows<8>(args);
  } else {
    quantize_rows<16>(args);
  }
}

// Four activations for all lanes.
template <int kBits>
struct Four {
  I8 byte;
};
template <>
struct Four<16> {
  I8 byte, upper;  // the lower byte is never negative
};

template <int kBits>
GRUCORE_INLINE Four<kBits> load_four(const unsigned char* q, size_t plane) {
  Four<kBits> four;
  if constexpr (kBits == 16) {
    four.upper = broadcast_four(q);
    four.byte = broadcast_four(q + plane);
  } else {
    four.byte = broadcast_four(q);
  }
  return four;
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
