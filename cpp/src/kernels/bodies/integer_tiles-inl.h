// The weights and the activations of a tile of integers. Included once per instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// Some vectors of one panel: neighbouring rows, or the same units of each gate.
struct TileWeights {
  const unsigned char* weights;  // of the first inputs
  size_t pitch;                  // bytes to the next inputs: four of int8, eight of int4 stand together
  const float* scale;            // int8: of these rows
  const uint16_t* group_scale;   // int4: of these rows in the first group of inputs
  size_t scale_pitch;            // to the next group of inputs
  uint32_t at;                   // in a row of y
  const float* bias;             // of these rows; or null
  size_t apart;                  // rows from one gate's vectors to the next gate's; 0: all are neighbours
  int lanes;                     // where kLast is kAnyLanes
};

// Where vector v of a tile stands, in rows: kSide vectors side by side, the next ones `apart` rows on.
template <int kSide>
GRUCORE_INLINE size_t vector_at(const TileWeights& tile, int v) {
  return static_cast<size_t>(v / kSide) * tile.apart + static_cast<size_t>(v % kSide) * kLanes;
}

template <int kLast>
GRUCORE_INLINE I8 load_weights(const TileWeights& tile, const unsigned char* p) {
  if constexpr (kLast == kLanes) {
    return load_bytes(p);
  } else {
    return load_bytes_n(p, kLast == kAnyLanes ? tile.lanes : kLast);
  }
}
// The quantized activations of one row under one tap.
struct QuantizedTap {
  const unsigned char* header;
  const unsigned char* values;

  GRUCORE_INLINE float scale() const {
    float scale;
    __builtin_memcpy(&scale, header, sizeof scale);
    return scale;
  }
  GRUCORE_INLINE int32_t sum(uint32_t group) const {
    int32_t sum;
    __builtin_memcpy(&sum, header + 4 + 4 * size_t{group}, sizeof sum);
    return sum;
  }
};

// The start of a sum, so that the biased weights give the product of the real ones.
GRUCORE_INLINE int32_t correction(int32_t sum, uint32_t offset) {
  const uint32_t start = 0u - offset * static_cast<uint32_t>(sum);
  int32_t result;
  __builtin_memcpy(&result, &start, sizeof result);
  return result;
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
