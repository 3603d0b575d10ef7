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

GRUCORE_INLINE Scaling scaling_of(const ProductArgs& args, const float* x) {
  F32 most = zero();
  Mask bad = lt(most, most);
  uint32_t i = 0;
  for (; i + kLanes <= args.weights->inputs; i += kLanes) {
    const F32 values = load(x + i);
    most = max(most, abs(values));
    bad = mask_or(bad, is_nonfinite(values));
  }
  if (i < args.weights->inputs) {
    const F32 values = load_n(x + i, static_cast<int>(args.weights->inputs - i));
    most = max(most, abs(values));
    bad = mask_or(bad, is_nonfinite(values));
  }
  if (any(bad)) return {__builtin_nanf(""), 0.0f};
  float range = args.range > 0 ? args.range : max_lanes(most);
  if (range < args.least) range = args.least;
  if (range < kLeastRange) return {0.0f, 0.0f};
  const float levels = args.weights->activation_bits == 8 ? 127.0f : 16383.0f;
  return {range / levels, levels / range};
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

template <int kBits>
GRUCORE_INLINE void quantize_segment(const ProductArgs& args, const float* x, unsigned char* to) {
  const uint32_t count = args.weights->inputs;
  const Scaling scaling = scaling_of(args, x);
  unsigned char* const upper = to + quantized_header(*args.weights);
  unsigned char* const lower = upper + quantized_plane(*args.weights);
  __builtin_memcpy(to, &scaling.scale, sizeof scaling.scale);
  const uint32_t sums = sum_groups(*args.weights);
  if (scaling.inverse == 0.0f) {
    __builtin_memset(to + 4, 0, 4 * sums);
    __builtin_memset(upper, 0, quantized_plane(*args.weights) * (kBits / 8));
    return;
  }
  const F32 inverse = broadcast(scaling.inverse);
  const uint32_t group = args.weights->kind == WeightKind::kInt8 ? kBlockInputs : kGroupInputs;
  for (uint32_t g = 0; g < sums; ++g) {
    I32 sum = broadcast_i32(0);
    const uint32_t end = count - g * group < group ? count : (g + 1) * group;
    uint32_t i = g * group;
    for (; i + kLanes <= end; i += kLanes) {
      sum = add(sum, quantize_lanes<kBits>(load(x + i), inverse, upper + i, lower + i));
    }
    // The rest, and zeros up to the end of its last group of weights.
    for (; i < round_up(end, 8); i += kLanes) {
      const int left = end > i ? static_cast<int>(end - i) : 0;
      sum = add(sum, quantize_lanes<kBits>(load_n(x + i, left), inverse, upper + i, lower + i));
    }
    const int32_t total = sum_lanes(sum);
    __builtin_memcpy(to + 4 + 4 * g, &total, sizeof total);
  }
}

template <int kBits>
GRUCORE_INLINE void quantize_rows(const ProductArgs& args) {
  const size_t segment = quantized_segment(*args.weights);
  for (uint32_t i = 0; i < args.rows.count; ++i) {
    const size_t row = args.rows.index ? args.rows.index[i] : i;
    for (uint32_t s = 0; s < args.weights->segments; ++s) {
      quantize_segment<kBits>(args, args.x.data + row * args.x.stride + size_t{s} * args.weights->inputs,
                              args.quantized.data + row * args.quantized.stride + s * segment);
    }
  }
}

void quantize(const ProductArgs& args) {
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
