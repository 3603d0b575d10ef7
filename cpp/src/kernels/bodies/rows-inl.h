// Rows of floats in and out of the engine. Included once per instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// A row into the engine, whose own have room for whole vectors and no denormals, or out of it; `bad` collects the lanes
// that are not finite.
template <bool kInto>
GRUCORE_INLINE Mask copy_row(float* y, const float* x, size_t count, Mask bad) {
  for (; count >= static_cast<size_t>(kLanes); count -= kLanes, x += kLanes, y += kLanes) {
    const F32 values = load(x);
    bad = mask_or(bad, is_nonfinite(values));
    store(y, kInto ? flush_denormals(values) : values);
  }
  if (!count) return bad;
  const int left = static_cast<int>(count);
  const F32 values = load_n(x, left);
  if constexpr (kInto) {
    store(y, flush_denormals(values));
  } else {
    store_n(y, values, left);
  }
  return mask_or(bad, is_nonfinite(values));
}
template <bool kInto>
GRUCORE_INLINE bool copy_rows(float* to, size_t to_stride, const float* from, size_t from_stride, size_t count,
                              uint32_t rows) {
  Mask bad = is_nonfinite(zero());
  if (!kStepsOnePanel && rows == 1) return any(copy_row<kInto>(to, from, count, bad));
  for (size_t row = 0; row < rows; ++row) {
    bad = copy_row<kInto>(to + row * to_stride, from + row * from_stride, count, bad);
  }
  return any(bad);
}

bool copy_in(float* to, size_t to_stride, const float* from, size_t from_stride, size_t count, uint32_t rows) {
  return copy_rows<true>(to, to_stride, from, from_stride, count, rows);
}
bool copy_out(float* to, size_t to_stride, const float* from, size_t from_stride, size_t count, uint32_t rows) {
  return copy_rows<false>(to, to_stride, from, from_stride, count, rows);
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
