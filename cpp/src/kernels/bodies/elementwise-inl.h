// Activations and arithmetic, element by element. Included once per instruction set, inside its target
// region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

GRUCORE_INLINE F32 combine(BinaryOp op, F32 a, F32 b) {
  switch (op) {
    case BinaryOp::kAdd: return add(a, b);
    case BinaryOp::kSubtract: return sub(a, b);
    case BinaryOp::kMultiply: return mul(a, b);
    case BinaryOp::kMaximum: return select(mask_or(gt(a, b), is_nan(a)), a, b);
    case BinaryOp::kMinimum: return select(mask_or(lt(a, b), is_nan(a)), a, b);
  }
  return a;
}

GRUCORE_INLINE F32 load_up_to(const float* p, size_t count) {
  return count >= static_cast<size_t>(kLanes) ? load(p) : load_n(p, static_cast<int>(count));
}
GRUCORE_INLINE void store_up_to(float* p, F32 value, size_t count) {
  if (count >= static_cast<size_t>(kLanes)) {
    store(p, value);
  } else {
    store_n(p, value, static_cast<int>(count));
  }
}

void activate(const Activation& activation, const float* slope, float* y, const float* x, size_t count) {
  for (size_t i = 0; i < count; i += kLanes) {
    const F32 value = load_up_to(x + i, count - i);
    const F32 result = slope ? leaky(value, load_up_to(slope + i, count - i)) : apply(activation, value);
    store_up_to(y + i, flush_denormals(result), count - i);
  }
}

void binary(BinaryOp op, float* y, const float* a, const float* b, size_t count) {
  for (size_t i = 0; i < count; i += kLanes) {
    const F32 result = combine(op, load_up_to(a + i, count - i), load_up_to(b + i, count - i));
    store_up_to(y + i, flush_denormals(result), count - i);
  }
}

void affine(float* y, const float* x, const float* scale, const float* shift, size_t count) {
  for (size_t i = 0; i < count; i += kLanes) {
    const F32 scaled = mul(load_up_to(scale + i, count - i), load_up_to(x + i, count - i));
    store_up_to(y + i, flush_denormals(add(scaled, load_up_to(shift + i, count - i))), count - i);
  }
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
