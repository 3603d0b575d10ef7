// exp, sigmoid and tanh over the Vec API: the same bits on every instruction set (docs/numerics.md).
// SPDX-License-Identifier: Apache-2.0
// Included once per kernel file, inside its target region, after vec_*.h.
// No mul_add here: it is fused on some machines only. Constants: tools/fit_activations.py.
namespace grucore::detail::GRUCORE_ISA {
namespace {

// Added to |t| < 2^21 it leaves rne(t) + bias in the low mantissa bits, and subtracted again rne(t) itself.
constexpr float kRound = 0x1.8p23f;
constexpr float kRoundBiased = kRound + 127.0f;  // its low bits, shifted left by 23, are the float 2^rne(t)

constexpr float kLog2E = 0x1.715476p+0f;
constexpr float kLn2High = 0x1.62e4p-1f;  // 15 bits: its product with |n| < 256 is exact
constexpr float kLn2Low = 0x1.7f7d1cp-20f;
// Below kExpMin exp and sigmoid are less than 2^-126, from kExpOverflow on exp overflows. The lanes beyond compute
// nonsense that the end of the function drops.
constexpr float kExpMin = -0x1.5d589ep+6f;
constexpr float kExpOverflow = 0x1.62e430p+6f;

// exp(r) - 1 for |r| <= ln(2)/2.
GRUCORE_INLINE F32 expm1_reduced(F32 r) {
  const F32 r2 = mul(r, r);
  const F32 c23 = add(mul(broadcast(0x1.555492p-3f), r), broadcast(0x1.fffffcp-2f));
  const F32 c45 = add(mul(broadcast(0x1.1239ccp-7f), r), broadcast(0x1.5558d2p-5f));
  const F32 c456 = add(mul(broadcast(0x1.6a2408p-10f), r2), c45);
  return add(r, mul(r2, add(mul(r2, c456), c23)));
}

// The low half of n*ln(2). What is added keeps r*r of a tiny x from being denormal and changes no result.
GRUCORE_INLINE F32 ln2_low_times(F32 n) { return add(mul(n, broadcast(kLn2Low)), broadcast(0x1p-55f)); }

// exp(x); from kExpOverflow on infinity, below kExpMin 0.
GRUCORE_INLINE F32 exp_f32(F32 x) {
  const F32 rounded = add(mul(x, broadcast(kLog2E)), broadcast(kRound));
  const F32 n = sub(rounded, broadcast(kRound));
  const F32 p = expm1_reduced(sub(sub(x, mul(n, broadcast(kLn2High))), ln2_low_times(n)));
  // n reaches 128, where 2^n is no float: it goes into the exponent instead.
  const I32 scaled = add(bits(add(broadcast(1.0f), p)), shift_left<23>(bits(rounded)));
  // The sum is NaN for NaN.
  const F32 beyond = add(x, from_bits(broadcast_i32(0x7f800000)));
  const F32 y = select(lt(x, broadcast(kExpOverflow)), from_bits(scaled), beyond);
  return zero_if(lt(x, broadcast(kExpMin)), y);
}

// 1 / (1 + exp(-x)); 1 from 16.64 on, below kExpMin 0.
GRUCORE_INLINE F32 sigmoid_f32(F32 x) {
  constexpr float kSaturated = 20.0f;
  const F32 one = broadcast(1.0f);
  const F32 inside = min(broadcast(kSaturated), x);
  const F32 rounded = add(mul(inside, broadcast(-kLog2E)), broadcast(kRoundBiased));
  const F32 n = sub(rounded, broadcast(kRoundBiased));
  const F32 p = expm1_reduced(sub(sub(mul(n, broadcast(-kLn2High)), inside), ln2_low_times(n)));
  const F32 scale = from_bits(shift_left<23>(bits(rounded)));
  // 1 + exp(-x) = (scale + 1) + scale*p; what scale + 1 loses, far from 1, joins the second term.
  const F32 high = add(scale, one);
  const F32 lost = sub(one, sub(high, scale));
  const F32 denominator = add(high, add(mul(scale, p), lost));
  return zero_if(lt(x, broadcast(kExpMin)), div(one, denominator));
}

// 1 - 2/(1 + exp(2|x|)) for |x| > kTanhSplit, where no digits cancel; an odd polynomial below.
GRUCORE_INLINE F32 tanh_f32(F32 x) {
  constexpr float kTanhSplit = 0.5625f;
  constexpr float kSaturated = 9.5f;  // the result rounds to 1 before
  const F32 a = abs(x);

  // exp(2a) = 2^t: relative accuracy is worth little here, so t needs no correction.
  const F32 inside = max(broadcast(0.5f), min(broadcast(kSaturated), a));
  const F32 t = mul(inside, broadcast(2.0f * kLog2E));
  const F32 rounded = add(t, broadcast(kRoundBiased));
  const F32 f = sub(t, sub(rounded, broadcast(kRoundBiased)));
  const F32 f2 = mul(f, f);
  const F32 c23 = add(mul(broadcast(0x1.c6af2ap-5f), f), broadcast(0x1.ebfbdap-3f));
  const F32 c45 = add(mul(broadcast(0x1.5f3f60p-10f), f), broadcast(0x1.3b2e34p-7f));
  const F32 c456 = add(mul(broadcast(0x1.41fce0p-13f), f2), c45);
  const F32 p = add(mul(broadcast(0x1.62e430p-1f), f), mul(f2, add(mul(f2, c456), c23)));
  const F32 scale = from_bits(shift_left<23>(bits(rounded)));
  const F32 denominator = add(mul(scale, p), add(scale, broadcast(1.0f)));
  const F32 large = sub(broadcast(1.0f), div(broadcast(2.0f), denominator));

  // A cube that would be denormal changes nothing; a denormal result becomes 0.
  const F32 base = zero_if(lt(a, broadcast(0x1p-40f)), a);
  const F32 u = mul(base, base);
  F32 q = add(mul(broadcast(0x1.09f5b8p-6f), u), broadcast(-0x1.ae9d06p-5f));
  q = add(mul(q, u), broadcast(0x1.10c650p-3f));
  q = add(mul(q, u), broadcast(-0x1.555422p-2f));
  const F32 small = add(flush_denormals(a), mul(mul(base, u), q));

  const F32 magnitude = select(gt(a, broadcast(kTanhSplit)), large, small);
  const I32 sign = bit_and(bits(x), broadcast_i32(INT32_MIN));
  return from_bits(bit_or(bits(magnitude), sign));
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
