// Activations, a vector at a time. Included once per instruction set, inside its target
// region. The formulas are those of docs/format.md.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

GRUCORE_INLINE F32 at_least(float least, F32 x) { return select(lt(x, broadcast(least)), broadcast(least), x); }

GRUCORE_INLINE F32 clip(F32 x, float least, float most) {
  const F32 low = at_least(least, x);
  return select(gt(low, broadcast(most)), broadcast(most), low);
}

GRUCORE_INLINE F32 leaky(F32 x, F32 slope) { return select(lt(x, zero()), mul(slope, x), x); }

GRUCORE_OUTLINE F32 softplus(F32 x) { return add(select(lt(x, zero()), zero(), x), log1p_f32(exp_f32(neg(abs(x))))); }

GRUCORE_OUTLINE F32 gelu(F32 x) {
  constexpr float kInverseSqrt2 = 0x1.6a09e6p-1f;
  return mul(mul(broadcast(0.5f), x), add(broadcast(1.0f), erf_f32(mul(x, broadcast(kInverseSqrt2)))));
}

GRUCORE_OUTLINE F32 gelu_tanh(F32 x) {
  constexpr float kSqrt2OverPi = 0x1.988454p-1f;
  const F32 cube = mul(mul(x, x), mul(broadcast(0.044715f), x));
  return mul(mul(broadcast(0.5f), x), add(broadcast(1.0f), tanh_f32(mul(broadcast(kSqrt2OverPi), add(x, cube)))));
}

// A call, so that the switch does not stand in every tile of every product.
GRUCORE_NOINLINE F32 apply(const Activation& activation, F32 x) {
#define GRUCORE_CASE(name, value)                                     \
  case ActivationCode::name:                                          \
    if constexpr (has_activation(ActivationCode::name)) return value; \
    break;
  switch (activation.code) {
    case ActivationCode::kLinear:
      break;
      GRUCORE_CASE(kSigmoid, sigmoid_f32(x))
      GRUCORE_CASE(kTanh, tanh_f32(x))
      GRUCORE_CASE(kRelu, select(lt(x, zero()), zero(), x))
      GRUCORE_CASE(kLeakyRelu, leaky(x, broadcast(activation.alpha)))
      GRUCORE_CASE(kElu, select(lt(x, zero()), mul(broadcast(activation.alpha), expm1_f32(x)), x))
      GRUCORE_CASE(kHardSigmoid, clip(add(mul(broadcast(activation.alpha), x), broadcast(activation.beta)), 0.0f, 1.0f))
      GRUCORE_CASE(kSoftsign, div(x, add(broadcast(1.0f), abs(x))))
      GRUCORE_CASE(kSoftplus, softplus(x))
      GRUCORE_CASE(kGelu, gelu(x))
      GRUCORE_CASE(kGeluTanh, gelu_tanh(x))
      GRUCORE_CASE(kSilu, mul(x, sigmoid_f32(x)))
      GRUCORE_CASE(kHardSwish, mul(x, clip(add(mul(x, broadcast(1.0f / 6.0f)), broadcast(0.5f)), 0.0f, 1.0f)))
      GRUCORE_CASE(kClip, clip(x, activation.alpha, activation.beta))
      GRUCORE_CASE(kExp, exp_f32(x))
      GRUCORE_CASE(kLog, mul(broadcast(activation.beta), log_f32(at_least(activation.alpha, x))))
      GRUCORE_CASE(kLog1p, mul(broadcast(activation.beta), log1p_f32(at_least(activation.alpha, x))))
  }
#undef GRUCORE_CASE
  return x;
}

template <class A, class B>
GRUCORE_INLINE Pair<A, B> apply(const Activation& activation, const Pair<A, B>& x) {
  return {apply(activation, x.first), apply(activation, x.second)};
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
