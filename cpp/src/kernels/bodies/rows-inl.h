// Rows of floats in and out of the engine. Included once per instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// Rows into the engine, whose own have room for whole vectors and no denormals, or out of it.
template <bool kInto>
GRUCORE_INLINE bool copy_rows(float* to, size_t to_stride, const float* from, size_t from_stride, size_t count,
                              uint32_t rows) {
  Mask bad = is_nonfinite(zero());
  for (size_t row = 0; row < rows; ++row) {
    float* const y = to + row * to_stride;
    const float* const values = from + row * from_stride;
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      const F32 x = load(values + i);
      bad = mask_or(bad, is_nonfinite(x));
      store(y + i, kInto ? flush_denormals(x) : x);
    }
    const int left = static_cast<int>(count - i);
    if (!left) continue;
    const F32 x = load_n(values + i, left);
    bad = mask_or(bad, is_nonfinite(x));
    if constexpr (kInto) {
      store(y + i, flush_denormals(x));
    } else {
      store_n(y + i, x, left);
    }
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
