// exp, sigmoid and tanh over the Vec API: the same bits on every instruction set (docs/numerics.md).
// SPDX-License-Identifier: Apache-2.0
// Included once per kernel file, inside its target region, after vec_*.h.
// No mul_add here: it is fused on some machines only. exact_mul_add is for products by powers of two, and by a
// constant of so few bits that nothing is rounded. Constants: tools/fit_activations.py.
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
template <class V>
GRUCORE_INLINE V expm1_reduced(const V& r) {
  const V r2 = mul(r, r);
  const V c23 = add(mul(like(r, 0x1.555492p-3f), r), like(r, 0x1.fffffcp-2f));
  const V c45 = add(mul(like(r, 0x1.1239ccp-7f), r), like(r, 0x1.5558d2p-5f));
  const V c456 = add(mul(like(r, 0x1.6a2408p-10f), r2), c45);
  return add(r, mul(r2, add(mul(r2, c456), c23)));
}

// The low half of n*ln(2). The addend keeps r*r of a tiny x from being denormal and changes no result.
template <class V>
GRUCORE_INLINE V ln2_low_times(const V& n) {
  return add(mul(n, like(n, kLn2Low)), like(n, 0x1p-55f));
}

// exp(x); from kExpOverflow on infinity, below kExpMin 0.
GRUCORE_INLINE F32 exp_f32(F32 x) {
  const F32 rounded = add(mul(x, broadcast(kLog2E)), broadcast(kRound));
  const F32 n = sub(rounded, broadcast(kRound));
  const F32 p = expm1_reduced(sub(exact_mul_add(n, broadcast(-kLn2High), x), ln2_low_times(n)));
  // n reaches 128, where 2^n is no float: it goes into the exponent instead.
  const I32 scaled = add(bits(add(broadcast(1.0f), p)), shift_left<23>(bits(rounded)));
  // The sum is NaN for NaN.
  const F32 beyond = add(x, from_bits(broadcast_i32(0x7f800000)));
  const F32 y = select(lt(x, broadcast(kExpOverflow)), from_bits(scaled), beyond);
  return zero_if(lt(x, broadcast(kExpMin)), y);
}

// 1 / (1 + exp(-x)); 1 from 16.64 on, below kExpMin 0.
template <class V>
GRUCORE_ONCE V sigmoid_f32(const V& x) {
  constexpr float kSaturated = 20.0f;
  const V one = like(x, 1.0f);
  const V inside = min(like(x, kSaturated), x);
  const V rounded = add(mul(inside, like(x, -kLog2E)), like(x, kRoundBiased));
  const V n = sub(rounded, like(x, kRoundBiased));
  const V p = expm1_reduced(sub(exact_mul_sub(n, like(x, -kLn2High), inside), ln2_low_times(n)));
  const V scale = from_bits(shift_left<23>(bits(rounded)));
  // 1 + exp(-x) = (scale + 1) + scale*p; what scale + 1 loses, far from 1, joins the second term.
  const V high = add(scale, one);
  const V lost = sub(one, sub(high, scale));
  const V denominator = add(high, exact_mul_add(scale, p, lost));
  return zero_if(lt(x, like(x, kExpMin)), div(one, denominator));
}

// 1 - 2/(1 + exp(2|x|)) for |x| > kTanhSplit, where no digits cancel; an odd polynomial below.
template <class V>
GRUCORE_ONCE V tanh_f32(const V& x) {
  constexpr float kTanhSplit = 0.5625f;
  constexpr float kSaturated = 9.5f;  // the result rounds to 1 before
  const V a = abs(x);

  // exp(2a) = 2^t: relative accuracy is worth little here, so t needs no correction.
  const V inside = max(like(x, 0.5f), min(like(x, kSaturated), a));
  const V t = mul(inside, like(x, 2.0f * kLog2E));
  const V rounded = add(t, like(x, kRoundBiased));
  const V f = sub(t, sub(rounded, like(x, kRoundBiased)));
  const V f2 = mul(f, f);
  const V c23 = add(mul(like(x, 0x1.c6af2ap-5f), f), like(x, 0x1.ebfbdap-3f));
  const V c45 = add(mul(like(x, 0x1.5f3f60p-10f), f), like(x, 0x1.3b2e34p-7f));
  const V c456 = add(mul(like(x, 0x1.41fce0p-13f), f2), c45);
  const V p = add(mul(like(x, 0x1.62e430p-1f), f), mul(f2, add(mul(f2, c456), c23)));
  const V scale = from_bits(shift_left<23>(bits(rounded)));
  const V denominator = exact_mul_add(scale, p, add(scale, like(x, 1.0f)));
  const V large = sub(like(x, 1.0f), div(like(x, 2.0f), denominator));

  // A cube that would be denormal changes nothing; a denormal result becomes 0.
  const V base = zero_if(lt(a, like(x, 0x1p-40f)), a);
  const V u = mul(base, base);
  V q = add(mul(like(x, 0x1.09f5b8p-6f), u), like(x, -0x1.ae9d06p-5f));
  q = add(mul(q, u), like(x, 0x1.10c650p-3f));
  q = add(mul(q, u), like(x, -0x1.555422p-2f));
  const V small = add(flush_denormals(a), mul(mul(base, u), q));

  const V magnitude = select(gt(a, like(x, kTanhSplit)), large, small);
  const auto sign = bit_and(bits(x), like(bits(x), INT32_MIN));
  return from_bits(bit_or(bits(magnitude), sign));
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
