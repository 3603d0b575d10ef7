// expm1, log, log1p and erf over the Vec API: the same bits on every instruction set (docs/numerics.md).
// SPDX-License-Identifier: Apache-2.0
// Included once per kernel file, inside its target region, after activations-inl.h.
// No mul_add here: it is fused on some machines only. Constants: tools/fit_functions.py.
namespace grucore::detail::GRUCORE_ISA {
namespace {

// Below it these functions are x, or c*x; a square would be denormal some way further down.
constexpr float kLinear = 0x1p-40f;

// exp(x) - 1; from kExpOverflow on infinity, below -16.99 -1. A denormal x, and -0, give +0.
GRUCORE_INLINE F32 expm1_f32(F32 x) {
  constexpr float kOverflows = 89.0f, kSaturated = -20.0f;
  constexpr float kRoundHalved = kRound + 126.0f;  // its low bits make 2^(n-1), since 2^128 would be no float
  const Mask linear = lt(abs(x), broadcast(kLinear));
  const F32 inside = min(broadcast(kOverflows), max(broadcast(kSaturated), zero_if(linear, x)));
  const F32 rounded = add(mul(inside, broadcast(kLog2E)), broadcast(kRoundHalved));
  const F32 n = sub(rounded, broadcast(kRoundHalved));
  const F32 high = sub(inside, mul(n, broadcast(kLn2High)));
  const F32 low = mul(n, broadcast(kLn2Low));

  const F32 r = sub(high, low);
  const F32 r2 = mul(r, r);
  const F32 c23 = add(mul(broadcast(0x1.5554b0p-3f), r), broadcast(0x1.fffffep-2f));
  const F32 c45 = add(mul(broadcast(0x1.122878p-7f), r), broadcast(0x1.5556c2p-5f));
  const F32 c456 = add(mul(broadcast(0x1.6bed6ep-10f), r2), c45);
  const F32 tail = mul(r2, add(mul(r2, c456), c23));

  const F32 half = from_bits(shift_left<23>(bits(rounded)));
  const F32 y = add(sub(half, broadcast(0.5f)), mul(half, add(high, sub(tail, low))));
  return select(linear, flush_denormals(x), add(y, y));
}

// Splits a positive normal x into 2^n * m with m in [sqrt(1/2), sqrt(2)): n + 127 in the exponent's place, above the
// bits of m - sqrt(1/2).
constexpr int32_t kSqrtHalfBits = 0x3f3504f3;
GRUCORE_INLINE I32 log_split(F32 x) { return add(bits(x), broadcast_i32(0x3f800000 - kSqrtHalfBits)); }
GRUCORE_INLINE F32 log_mantissa(I32 split) {
  return from_bits(add(bit_and(split, broadcast_i32(0x007fffff)), broadcast_i32(kSqrtHalfBits)));
}
// n + 127 as a float, plus 2^23.
GRUCORE_INLINE F32 log_exponent(I32 split) {
  return from_bits(bit_or(shift_right<23>(split), broadcast_i32(0x4b000000)));
}
constexpr float kLogBias = 0x1p23f + 127.0f;

// n*ln(2) + log(1 + f + low) for 1 + f in [sqrt(1/2), sqrt(2)) and a `low` that only its first order counts of.
// `base` is f + low, or 0 where that is tiny.
GRUCORE_INLINE F32 log_reduced(F32 n, F32 f, F32 low, F32 base) {
  const F32 f2 = mul(base, base);
  const F32 c23 = add(mul(broadcast(0x1.555550p-2f), base), broadcast(-0x1.fffff8p-2f));
  const F32 c45 = add(mul(broadcast(0x1.99a3f4p-3f), base), broadcast(-0x1.000426p-2f));
  const F32 c67 = add(mul(broadcast(0x1.2271e8p-3f), base), broadcast(-0x1.542792p-3f));
  const F32 c89 = add(mul(broadcast(0x1.084934p-3f), base), broadcast(-0x1.0f37e6p-3f));
  F32 q = add(mul(broadcast(-0x1.383140p-4f), f2), c89);
  q = add(mul(q, f2), c67);
  q = add(mul(q, f2), c45);
  q = add(mul(q, f2), c23);
  const F32 small = add(mul(f2, q), add(mul(n, broadcast(kLn2Low)), low));
  return add(add(f, small), mul(n, broadcast(kLn2High)));
}

// y = log(x) where x is positive and finite; elsewhere what log makes of x.
GRUCORE_INLINE F32 log_edges(F32 x, F32 y) {
  const F32 infinity = from_bits(broadcast_i32(0x7f800000));
  const F32 nan = from_bits(broadcast_i32(0x7fc00000));
  const F32 not_positive = select(eq(x, zero()), neg(infinity), nan);
  return select(gt(x, zero()), select(eq(x, infinity), x, y), not_positive);
}

// log(x), of denormals too; of both zeros -infinity, of less NaN.
GRUCORE_OUTLINE F32 log_f32(F32 x) {
  const Mask denormal = lt(x, broadcast(0x1p-126f));
  const I32 split = log_split(select(denormal, mul(x, broadcast(0x1p24f)), x));
  const F32 n = sub(log_exponent(split), select(denormal, broadcast(kLogBias + 24.0f), broadcast(kLogBias)));
  const F32 f = sub(log_mantissa(split), broadcast(1.0f));
  return log_edges(x, log_reduced(n, f, zero(), f));
}

// log(1 + x); of -1 -infinity, of less NaN. A denormal x, and -0, give +0.
GRUCORE_OUTLINE F32 log1p_f32(F32 x) {
  const F32 one = broadcast(1.0f);
  const F32 larger = max(one, x);
  const F32 smaller = min(one, x);
  const F32 sum = add(larger, smaller);
  const F32 lost = sub(smaller, sub(sum, larger));  // exact
  const I32 split = log_split(sum);
  const F32 n = sub(log_exponent(split), broadcast(kLogBias));
  const F32 scale = from_bits(sub(broadcast_i32(0x7f000000), bit_and(split, broadcast_i32(0x7f800000))));  // 2^-n
  // For a large x nothing counts that the sum lost; 2^-n may be infinite there.
  const F32 low = zero_if(gt(x, broadcast(0x1p60f)), mul(lost, scale));
  const F32 f = sub(log_mantissa(split), one);
  const F32 whole = add(f, low);
  const F32 base = zero_if(lt(abs(whole), broadcast(kLinear)), whole);
  return log_edges(sum, flush_denormals(log_reduced(n, f, low, base)));
}

// 1 - 2^t for |x| > kErfSplit, t a polynomial for log2(erfc|x|); an odd polynomial below.
GRUCORE_INLINE F32 erf_f32(F32 x) {
  constexpr float kErfSplit = 0.921875f;
  constexpr float kSaturated = 4.0f;  // the result rounds to 1 before
  constexpr float kLn2 = 0x1.62e430p-1f;
  const F32 a = abs(x);

  const F32 inside = max(broadcast(0.5f), min(broadcast(kSaturated), a));
  const F32 a2 = mul(inside, inside);
  const F32 c23 = add(mul(broadcast(-0x1.36f3bap-3f), inside), broadcast(-0x1.d59728p-1f));
  const F32 c45 = add(mul(broadcast(-0x1.2f933ap-8f), inside), broadcast(0x1.0e5f3ap-5f));
  const F32 c456 = add(mul(broadcast(0x1.42ee4ep-12f), a2), c45);
  const F32 t = add(mul(broadcast(-0x1.a0cae6p+0f), inside), mul(a2, add(mul(a2, c456), c23)));
  const F32 rounded = add(t, broadcast(kRoundBiased));
  const F32 p = expm1_reduced(mul(sub(t, sub(rounded, broadcast(kRoundBiased))), broadcast(kLn2)));
  const F32 scale = from_bits(shift_left<23>(bits(rounded)));
  const F32 large = sub(broadcast(1.0f), add(scale, mul(scale, p)));

  const F32 base = zero_if(lt(a, broadcast(kLinear)), a);
  const F32 u = mul(base, base);
  F32 q = add(mul(broadcast(-0x1.3a17f6p-11f), u), broadcast(0x1.473b9ap-8f));
  q = add(mul(q, u), broadcast(-0x1.b68b5cp-6f));
  q = add(mul(q, u), broadcast(0x1.ce1a70p-4f));
  q = add(mul(q, u), broadcast(-0x1.8126e6p-2f));
  q = add(mul(q, u), broadcast(0x1.06eba6p-3f));
  const F32 small = flush_denormals(add(a, mul(a, q)));

  const F32 magnitude = select(gt(a, broadcast(kErfSplit)), large, small);
  const I32 sign = bit_and(bits(x), broadcast_i32(INT32_MIN));
  return from_bits(bit_or(bits(magnitude), sign));
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
