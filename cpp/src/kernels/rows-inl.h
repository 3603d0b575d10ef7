// Rows of floats in and out of the engine. Included once per instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// The rows of `to` have room for whole vectors, as those of the engine have.
bool copy_in(float* to, size_t to_stride, const float* from, size_t from_stride, size_t count, uint32_t rows) {
  Mask bad = is_nonfinite(zero());
  for (uint32_t row = 0; row < rows; ++row, to += to_stride, from += from_stride) {
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      const F32 x = load(from + i);
      bad = mask_or(bad, is_nonfinite(x));
      store(to + i, flush_denormals(x));
    }
    const int left = static_cast<int>(count - i);
    if (left) {
      const F32 x = load_n(from + i, left);
      bad = mask_or(bad, is_nonfinite(x));
      store(to + i, flush_denormals(x));
    }
  }
  return any(bad);
}

bool copy_out(float* to, size_t to_stride, const float* from, size_t from_stride, size_t count, uint32_t rows) {
  Mask bad = is_nonfinite(zero());
  for (uint32_t row = 0; row < rows; ++row, to += to_stride, from += from_stride) {
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      const F32 x = load(from + i);
      bad = mask_or(bad, is_nonfinite(x));
      store(to + i, x);
    }
    const int left = static_cast<int>(count - i);
    if (left) {
      const F32 x = load_n(from + i, left);
      bad = mask_or(bad, is_nonfinite(x));
      store_n(to + i, x, left);
    }
  }
  return any(bad);
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
