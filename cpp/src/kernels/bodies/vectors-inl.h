// Vectors of a panel: neighbouring rows, one to a lane, and fewer than all lanes at its end. Included once per
// instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// Where a mask costs nothing (AVX-512), one tile serves any number of lanes; else rows come in fours.
constexpr int kAnyLanes = 0;
constexpr bool kHasMasks = kLanes == 16;

// Vectors at once where fewer are left than a tile has: one, and single lanes in fours.
constexpr int kFewVectors = kLanes < 4 ? 4 / kLanes : 1;

template <int kLast>
GRUCORE_INLINE F32 load_vector(const float* p, int lanes) {
  if constexpr (kLast == kAnyLanes) {
    return load_n(p, lanes);
  } else {
    return load_lanes<kLast>(p);
  }
}
template <int kLast>
GRUCORE_INLINE F32 load_vector(const uint16_t* p, int lanes) {
  if constexpr (kLast == kLanes) {
    return load_half(p);
  } else {
    return load_half_n(p, kLast == kAnyLanes ? lanes : kLast);
  }
}
template <int kLast>
GRUCORE_INLINE void store_vector(float* p, F32 value, int lanes) {
  if constexpr (kLast == kAnyLanes) {
    store_n(p, value, lanes);
  } else {
    store_lanes<kLast>(p, value);
  }
}

GRUCORE_INLINE uint32_t row_at(const Rows& rows, uint32_t i) { return rows.index ? rows.index[i] : i; }

// Row r of a tile whose rows start at `first`: past the end the last row again.
GRUCORE_INLINE uint32_t row_in_tile(const Rows& rows, uint32_t first, int r) {
  const uint32_t i = first + static_cast<uint32_t>(r);
  return row_at(rows, i < rows.count ? i : rows.count - 1);
}

// Width of the panel that starts at `row`.
GRUCORE_INLINE uint32_t panel_width(uint32_t rows, uint32_t row) {
  return rows - row < kPanel ? padded_rows(rows - row) : kPanel;
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
