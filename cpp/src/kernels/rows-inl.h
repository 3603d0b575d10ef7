// Rows of floats in and out of the engine. Included once per instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// `to` has room for whole vectors, as rows of the engine have.
bool copy_in(float* to, const float* from, size_t count) {
  Mask bad = is_nonfinite(zero());
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
  return any(bad);
}

bool copy_out(float* to, const float* from, size_t count) {
  Mask bad = is_nonfinite(zero());
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
  return any(bad);
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
