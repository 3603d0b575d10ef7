// Two vectors, or two pairs of them, through the same operations in step: the chains of each hide the latency of the
// other, farther than a processor looks ahead. Included once per instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

template <class T>
struct Pair {
  T first, second;
};

// How many vectors keep a processor busy through an activation; one where lanes are plain C++.
#if defined(GRUCORE_PLAIN)
constexpr int kVectorsInStep = 1;
#else
constexpr int kVectorsInStep = 4;
#endif

// Neighbours in memory.
template <class V>
struct Taken {
  static constexpr int kCount = 1;
  static GRUCORE_INLINE F32 from(const F32* v) { return *v; }
};
template <class T>
struct Taken<Pair<T>> {
  static constexpr int kCount = 2 * Taken<T>::kCount;
  static GRUCORE_INLINE Pair<T> from(const F32* v) { return {Taken<T>::from(v), Taken<T>::from(v + kCount / 2)}; }
};
template <class V>
GRUCORE_INLINE V take(const F32* v) {
  return Taken<V>::from(v);
}
GRUCORE_INLINE void put(F32* to, F32 v) { *to = v; }
template <class T>
GRUCORE_INLINE void put(F32* to, const Pair<T>& v) {
  put(to, v.first);
  put(to + Taken<T>::kCount, v.second);
}

// A constant in every lane of what x is.
GRUCORE_INLINE F32 like(F32, float value) { return broadcast(value); }
GRUCORE_INLINE I32 like(I32, int32_t value) { return broadcast_i32(value); }
template <class T, class Value>
GRUCORE_INLINE Pair<T> like(const Pair<T>& x, Value value) {
  return {like(x.first, value), like(x.second, value)};
}

#define GRUCORE_OF_PAIR(op)                                                 \
  template <class T>                                                        \
  GRUCORE_INLINE auto op(const Pair<T>& a) -> Pair<decltype(op(a.first))> { \
    return {op(a.first), op(a.second)};                                     \
  }
#define GRUCORE_OF_PAIRS(op)                                                                           \
  template <class T, class U>                                                                          \
  GRUCORE_INLINE auto op(const Pair<T>& a, const Pair<U>& b) -> Pair<decltype(op(a.first, b.first))> { \
    return {op(a.first, b.first), op(a.second, b.second)};                                             \
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

template <class M, class T>
GRUCORE_INLINE Pair<T> select(const Pair<M>& m, const Pair<T>& if_true, const Pair<T>& if_false) {
  return {select(m.first, if_true.first, if_false.first), select(m.second, if_true.second, if_false.second)};
}
template <int N, class T>
GRUCORE_INLINE Pair<T> shift_left(const Pair<T>& a) {
  return {shift_left<N>(a.first), shift_left<N>(a.second)};
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
