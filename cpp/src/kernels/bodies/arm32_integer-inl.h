// Products of int8 and int4 weights with one row of activations by NEON of 32-bit Arm: bytes are multiplied to 16 bits,
// of which as many are added up as have room, and pairs of those to 32. Included once per instruction set, inside its
// target region, where vectors have one lane.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

template <WeightKind>
constexpr bool kHasPlainPanels = true;

// Where the activations of a tap stand: of 16 bits an upper byte of each, and a lower one `plane` bytes on.
struct TapBytes {
  const unsigned char* upper;
  size_t plane;

  // Four inputs, twice.
  template <int kPlanes>
  GRUCORE_INLINE void load(int8x8_t (&four)[kPlanes], size_t at) const {
    GRUCORE_UNROLL(2)
    for (size_t p = 0; p < kPlanes; ++p) {
      const void* const from = upper + p * plane + at;
      four[p] = vreinterpret_s8_s32(vld1_dup_s32(static_cast<const int32_t*>(from)));
    }
  }
};

// Each row of a vector has two sums beside each other.
GRUCORE_INLINE int32x4_t join_sums(int32x4_t first, int32x4_t second) {
  return vcombine_s32(vpadd_s32(vget_low_s32(first), vget_high_s32(first)),
                      vpadd_s32(vget_low_s32(second), vget_high_s32(second)));
}
template <int kPlanes>
GRUCORE_INLINE int32x4_t join_planes(const int32x4_t (&sums)[kPlanes]) {
  if constexpr (kPlanes == 1) {
    return sums[0];
  } else {
    return vaddq_s32(vshlq_n_s32(sums[0], kLowerBits), sums[1]);
  }
}

// Products of kFours times four inputs, of which 16 bits have room for two.
template <int kFours, int kVectors, int kPlanes>
GRUCORE_INLINE void add_fours(int32x4_t (&dots)[kVectors][kPlanes][2], const int8_t* w, size_t pitch, const TapBytes& x,
                              size_t at) {
  int8x8_t four[kFours][kPlanes];
  GRUCORE_UNROLL(2)
  for (size_t f = 0; f < kFours; ++f) x.load(four[f], at + 4 * f);
  GRUCORE_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) {
    int16x8_t pairs[kPlanes][2];
    GRUCORE_UNROLL(2)
    for (size_t f = 0; f < kFours; ++f) {
      const int8x16_t bytes = vld1q_s8(w + f * pitch + 16 * v);
      GRUCORE_UNROLL(2)
      for (int p = 0; p < kPlanes; ++p) {
        const int8x8_t of = four[f][p];
        pairs[p][0] = f ? vmlal_s8(pairs[p][0], vget_low_s8(bytes), of) : vmull_s8(vget_low_s8(bytes), of);
        pairs[p][1] = f ? vmlal_s8(pairs[p][1], vget_high_s8(bytes), of) : vmull_s8(vget_high_s8(bytes), of);
      }
    }
    GRUCORE_UNROLL(2)
    for (int p = 0; p < kPlanes; ++p) {
      dots[v][p][0] = vpadalq_s16(dots[v][p][0], pairs[p][0]);
      dots[v][p][1] = vpadalq_s16(dots[v][p][1], pairs[p][1]);
    }
  }
}

// Adds the sums of four times kVectors rows over so many times four inputs.
template <int kVectors, int kPlanes>
GRUCORE_INLINE void add_block(F32x4 (&sums)[kVectors], const unsigned char* weights, size_t pitch, const TapBytes& x,
                              size_t at, size_t fours) {
  const int8_t* w = reinterpret_cast<const int8_t*>(weights) + at * pitch / 4;
  int32x4_t dots[kVectors][kPlanes][2];
  GRUCORE_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) {
    GRUCORE_UNROLL(2)
    for (int p = 0; p < kPlanes; ++p) dots[v][p][0] = dots[v][p][1] = vdupq_n_s32(0);
  }
  for (; fours >= 2; fours -= 2, at += 8, w += 2 * pitch) add_fours<2>(dots, w, pitch, x, at);
  if (fours) add_fours<1>(dots, w, pitch, x, at);
  GRUCORE_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) {
    int32x4_t planes[kPlanes];
    GRUCORE_UNROLL(2)
    for (int p = 0; p < kPlanes; ++p) planes[p] = join_sums(dots[v][p][0], dots[v][p][1]);
    sums[v] = add(sums[v], {vcvtq_f32_s32(join_planes(planes))});
  }
}

// The same of int4 over a group of so many times eight inputs, which has a scale of its own.
template <int kVectors, int kPlanes>
GRUCORE_INLINE void add_group(F32x4 (&sums)[kVectors], const unsigned char* weights, size_t pitch, const TapBytes& x,
                              size_t at, size_t eights, const uint16_t* scale) {
  const int8_t* w = reinterpret_cast<const int8_t*>(weights) + at * pitch / 8;
  int16x8_t dots[kVectors][kPlanes][2];
  GRUCORE_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) {
    GRUCORE_UNROLL(2)
    for (int p = 0; p < kPlanes; ++p) dots[v][p][0] = dots[v][p][1] = vdupq_n_s16(0);
  }
  for (; eights; --eights, at += 8, w += pitch) {
    int8x8_t x0[kPlanes], x1[kPlanes];
    x.load(x0, at);
    x.load(x1, at + 4);
    GRUCORE_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      const int8x16_t both = vld1q_s8(w + 16 * v);
      const int8x16_t w0 = vshrq_n_s8(vshlq_n_s8(both, 4), 4), w1 = vshrq_n_s8(both, 4);
      GRUCORE_UNROLL(2)
      for (int p = 0; p < kPlanes; ++p) {
        int16x8_t *const first = &dots[v][p][0], *const second = &dots[v][p][1];
        *first = vmlal_s8(vmlal_s8(*first, vget_low_s8(w0), x0[p]), vget_low_s8(w1), x1[p]);
        *second = vmlal_s8(vmlal_s8(*second, vget_high_s8(w0), x0[p]), vget_high_s8(w1), x1[p]);
      }
    }
  }
  GRUCORE_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) {
    int32x4_t planes[kPlanes];
    GRUCORE_UNROLL(2)
    for (int p = 0; p < kPlanes; ++p) {
      planes[p] = join_sums(vpaddlq_s16(dots[v][p][0]), vpaddlq_s16(dots[v][p][1]));
    }
    sums[v] = add(sums[v], mul({vcvtq_f32_s32(join_planes(planes))}, load_four_weights(scale + 4 * v)));
  }
}

// Sums are integers or multiples of 2^-24, so that none is denormal; what becomes of them may be.
template <bool kScales>
GRUCORE_INLINE void finish_four(const F32x4& sums, Float x_scale, const float* scale, const float* start, float* y) {
  F32x4 result = mul(sums, x_scale);
  if (kScales) result = mul(result, load_four_floats(scale));
  if (start) result = add(load_four_floats(start), result);
  if (!met_denormals(result)) return store_four_floats(y, result);
  float totals[kFourRows];
  store_four_floats(totals, sums);
  for (int r = 0; r < kFourRows; ++r) {
    F32 product = mul(load(totals + r), broadcast(x_scale.v));
    if (kScales) product = mul(product, load(scale + r));
    store(y + r, start ? add(load(start + r), product) : product);
  }
  forget_denormals();
}

template <WeightKind kKind, int kVectors, int kPlanes>
GRUCORE_INLINE void some_rows(const PanelProduct& panel, const TapBytes& x, Float x_scale, const PackedWeights& weights,
                              uint32_t lane) {
  constexpr bool kIsInt8 = kKind == WeightKind::kInt8;
  constexpr size_t kGroup = kIsInt8 ? kBlockInputs : kGroupInputs, kTogether = kIsInt8 ? 4 : 8;
  const unsigned char* const w = panel.weights + size_t{lane} * 4;
  const size_t pitch = size_t{panel.width} * 4, inputs = weights.inputs;
  const float* scale = nullptr;
  F32x4 sums[kVectors];
  GRUCORE_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) sums[v] = Float{0.0f};
  const uint16_t* group_scale = static_cast<const uint16_t*>(panel.scale) + lane;
  for (size_t at = 0; at < inputs; at += kGroup, group_scale += panel.width) {
    const size_t left = inputs - at, count = ((left < kGroup ? left : kGroup) + kTogether - 1) / kTogether;
    if constexpr (kIsInt8) {
      add_block<kVectors, kPlanes>(sums, w, pitch, x, at, count);
    } else {
      add_group<kVectors, kPlanes>(sums, w, pitch, x, at, count, group_scale);
    }
  }
  if (kIsInt8) scale = static_cast<const float*>(panel.scale) + lane;
  const float* const start = panel.start ? panel.start + lane : nullptr;
  GRUCORE_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) {
    finish_four<kIsInt8>(sums[v], x_scale, scale + 4 * v, start ? start + 4 * v : nullptr, panel.y + lane + 4 * v);
  }
}

template <WeightKind kKind, int kPlanes>
GRUCORE_INLINE void rows_of_panel(const PanelProduct& panel, const unsigned char* x, const PackedWeights& weights) {
  constexpr int kMost = 4 / kPlanes;  // vectors: twice as many sums as those stand in registers
  const TapBytes bytes = {x + weights.header, weights.plane};
  Float x_scale;
  __builtin_memcpy(&x_scale.v, x, sizeof x_scale.v);
  forget_denormals();
  uint32_t lane = 0;
  for (; panel.width - lane >= 4 * kMost; lane += 4 * kMost) {
    some_rows<kKind, kMost, kPlanes>(panel, bytes, x_scale, weights, lane);
  }
  for (; lane < panel.width; lane += 4) some_rows<kKind, 1, kPlanes>(panel, bytes, x_scale, weights, lane);
}

template <WeightKind kKind, int>
GRUCORE_OUTLINE void panel_product(const PanelProduct& of, const unsigned char* x, const PackedWeights& weights) {
  const PanelProduct panel = of;
  if (weights.activation_bits == 8) {
    rows_of_panel<kKind, 1>(panel, x, weights);
  } else {
    rows_of_panel<kKind, 2>(panel, x, weights);
  }
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
