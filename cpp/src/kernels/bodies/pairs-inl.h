// Two to four vectors, as pairs of vectors and of pairs, through the same operations in step: the chains of each hide
// the latency of the others, farther than a processor looks ahead. Included once per instruction set, inside its target
// region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

template <class A, class B = A>
struct Pair {
  A first;
  B second;
};

// How many vectors keep a processor busy through an activation; one where lanes are plain C++.
#if defined(GRUCORE_PLAIN)
constexpr int kVectorsInStep = 1;
#else
constexpr int kVectorsInStep = 4;
#endif

// The vectors of a V: those from v on, and those that the next pointers from `from` and `to` on point to.
template <class V>
struct Vectors {
  static constexpr int kCount = 1;
  static GRUCORE_INLINE F32 take(const F32* v) { return *v; }
  static GRUCORE_INLINE F32 load_from(const float* const* from) { return load(*from); }
  static GRUCORE_INLINE void store_to(float* const* to, const F32& v) { store(*to, v); }
};
template <class A, class B>
struct Vectors<Pair<A, B>> {
  static constexpr int kFirst = Vectors<A>::kCount, kCount = kFirst + Vectors<B>::kCount;
  static GRUCORE_INLINE Pair<A, B> take(const F32* v) { return {Vectors<A>::take(v), Vectors<B>::take(v + kFirst)}; }
  static GRUCORE_INLINE Pair<A, B> load_from(const float* const* from) {
    return {Vectors<A>::load_from(from), Vectors<B>::load_from(from + kFirst)};
  }
  static GRUCORE_INLINE void store_to(float* const* to, const Pair<A, B>& v) {
    Vectors<A>::store_to(to, v.first);
    Vectors<B>::store_to(to + kFirst, v.second);
  }
};

// A constant in every lane of what x is.
GRUCORE_INLINE F32 like(F32, float value) { return broadcast(value); }
GRUCORE_INLINE I32 like(I32, int32_t value) { return broadcast_i32(value); }
template <class A, class B, class Value>
GRUCORE_INLINE Pair<A, B> like(const Pair<A, B>& x, Value value) {
  return {like(x.first, value), like(x.second, value)};
}

#define GRUCORE_OF_PAIR(op)                                                                            \
  template <class A, class B>                                                                          \
  GRUCORE_INLINE auto op(const Pair<A, B>& a) -> Pair<decltype(op(a.first)), decltype(op(a.second))> { \
    return {op(a.first), op(a.second)};                                                                \
  }
#define GRUCORE_OF_PAIRS(op)                                                      \
  template <class A, class B, class C, class D>                                   \
  GRUCORE_INLINE auto op(const Pair<A, B>& a, const Pair<C, D>& b)                \
      -> Pair<decltype(op(a.first, b.first)), decltype(op(a.second, b.second))> { \
    return {op(a.first, b.first), op(a.second, b.second)};                        \
  }
GRUCORE_OF_PAIR(abs)
GRUCORE_OF_PAIR(bits)
GRUCORE_OF_PAIR(from_bits)
GRUCORE_OF_PAIR(flush_denormals)
GRUCORE_OF_PAIRS(add)
GRUCORE_OF_PAIRS(sub)
GRUCORE_OF_PAIRS(mul)
GRUCORE_OF_PAIRS(div)
GRUCORE_OF_PAIRS(min)
GRUCORE_OF_PAIRS(max)
GRUCORE_OF_PAIRS(lt)
GRUCORE_OF_PAIRS(gt)
GRUCORE_OF_PAIRS(zero_if)
GRUCORE_OF_PAIRS(bit_and)
GRUCORE_OF_PAIRS(bit_or)
#undef GRUCORE_OF_PAIR
#undef GRUCORE_OF_PAIRS

template <class A, class B>
GRUCORE_INLINE Pair<A, B> exact_mul_add(const Pair<A, B>& a, const Pair<A, B>& b, const Pair<A, B>& c) {
  return {exact_mul_add(a.first, b.first, c.first), exact_mul_add(a.second, b.second, c.second)};
}
template <class A, class B>
GRUCORE_INLINE Pair<A, B> exact_mul_sub(const Pair<A, B>& a, const Pair<A, B>& b, const Pair<A, B>& c) {
  return {exact_mul_sub(a.first, b.first, c.first), exact_mul_sub(a.second, b.second, c.second)};
}
template <class M, class N, class A, class B>
GRUCORE_INLINE Pair<A, B> select(const Pair<M, N>& m, const Pair<A, B>& if_true, const Pair<A, B>& if_false) {
  return {select(m.first, if_true.first, if_false.first), select(m.second, if_true.second, if_false.second)};
}
template <int N, class A, class B>
GRUCORE_INLINE Pair<A, B> shift_left(const Pair<A, B>& a) {
  return {shift_left<N>(a.first), shift_left<N>(a.second)};
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
