// y = bias + weights * x, or y += weights * x, for int8 weights of which only some blocks of 8 rows and 4 inputs are
// there (docs/format.md, blocks8x4). Sums of integers are exact, so that the result is that of the whole matrix.
// Included once per instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr uint32_t kStrip = 8;
constexpr size_t kBlockBytes = kStrip * 4;
// Vectors of a strip; one that is twice as wide takes two blocks at once, and their sums meet at the end.
constexpr int kStripVectors = kLanes < 8 ? 8 / kLanes : 1;
constexpr int kStripLanes = kLanes < 8 ? kLanes : 8;  // of each

// The sums of a strip. `over` is what the offset of the weights adds to all of its rows, where they have one.
template <int kBits>
struct StripSums {
  Dots<kBits> dots[kStripVectors], over;

  GRUCORE_INLINE StripSums() {
    GRUCORE_UNROLL(8)
    for (int v = 0; v < kStripVectors; ++v) dots[v] = dots_from<kBits>(0);
    over = dots_from<kBits>(0);
  }
  template <class X>
  GRUCORE_INLINE void add_weights(int v, I8 weights, const X& x) {
    add_products(dots[v], biased(weights), x);
    if constexpr (kWeightOffset != 0) {
      if (v == 0) add_products(over, biased(load_bytes(kNoWeights)), x);
    }
  }
  GRUCORE_INLINE void join_with(const StripSums& other) {
    GRUCORE_UNROLL(8)
    for (int v = 0; v < kStripVectors; ++v) join(dots[v], other.dots[v]);
    if constexpr (kWeightOffset != 0) join(over, other.over);
  }
  GRUCORE_INLINE I32 total_of(int v) const {
    I32 sum = total(dots[v]);
    if constexpr (kWeightOffset != 0) sum = sub(sum, total(over));
    return sum;
  }

 private:
  alignas(64) static constexpr unsigned char kNoWeights[4 * kLanes] = {};
};

// The blocks of a matrix and the activations of one row.
struct StripProduct {
  const unsigned char* blocks;
  const uint16_t* fours;
  const unsigned char* values;
  size_t plane;

#if GRUCORE_HALVES
  template <int kBits>
  GRUCORE_INLINE void add_two(StripSums<kBits>& sums, size_t block, I8 weights) const {
    const auto x = load_fours<kBits>(values, size_t{fours[block]} * 4, size_t{fours[block + 1]} * 4, plane);
    sums.add_weights(0, weights, x);
  }
  // The last four blocks may be fewer: a mask in place of a branch, which nothing would foretell. The places
  // of the missing ones are those of the next strip, or the zeros behind the last.
  template <int kBits>
  GRUCORE_INLINE StripSums<kBits> sum(size_t begin, size_t end) const {
    StripSums<kBits> even, odd;
    if (begin == end) return even;
    const unsigned char* w = blocks + begin * kBlockBytes;
    size_t i = begin;
    for (; end - i > 4; i += 4, w += 4 * kBlockBytes) {
      add_two(even, i, load_bytes(w));
      add_two(odd, i + 2, load_bytes(w + 2 * kBlockBytes));
    }
    const int lanes = 8 * static_cast<int>(end - i);
    add_two(even, i, load_bytes_n(w, lanes < 16 ? lanes : 16));
    add_two(odd, i + 2, load_bytes_n(w + 2 * kBlockBytes, lanes < 16 ? 0 : lanes - 16));
    even.join_with(odd);
    return even;
  }
#else
  template <int kBits>
  GRUCORE_INLINE void add_block(StripSums<kBits>& sums, size_t block) const {
    const auto x = load_four<kBits>(values, size_t{fours[block]} * 4, plane);
    const unsigned char* const w = blocks + block * kBlockBytes;
    GRUCORE_UNROLL(8)
    for (int v = 0; v < kStripVectors; ++v) sums.add_weights(v, load_bytes(w + v * 4 * kLanes), x);
  }
  template <int kBits>
  GRUCORE_INLINE StripSums<kBits> sum(size_t begin, size_t end) const {
    StripSums<kBits> even;
    size_t i = begin;
    if constexpr (kDotsInFlight > 1) {
      StripSums<kBits> odd;
      for (; end - i >= 2; i += 2) {
        add_block(even, i);
        add_block(odd, i + 1);
      }
      even.join_with(odd);
    }
    for (; i < end; ++i) add_block(even, i);
    return even;
  }
#endif
};

// The block from `begin` on whose inputs are not before `limit`; inputs ascend.
GRUCORE_INLINE size_t end_before(const uint16_t* fours, size_t begin, size_t end, uint32_t limit) {
  while (begin < end && fours[begin] < limit) ++begin;
  return begin;
}

// Neighbouring strips of one row of results.
struct StripRow {
  uint32_t strips;
  uint32_t fours_of_row;
  size_t begin;  // the first one's first block
  const uint32_t* ends;
  const float* scales;
  const float* start;  // what the product is added to; null: nothing
  float* y;
};

template <int kCount>
GRUCORE_INLINE void store_product(const StripRow& at, size_t i, F32 sum) {
  F32 product = mul(sum, load_lanes<kCount>(at.scales + i));
  if (at.start) product = add(load_lanes<kCount>(at.start + i), product);
  store_lanes<kCount>(at.y + i, product);
}

// The sums of so many strips as vectors of results, with those of a strip that is not there being 0.
constexpr uint32_t kStripsAtOnce = kLanes > 8 ? kLanes / 8 : 1;
template <int kBits>
GRUCORE_INLINE void sums_of_strips(const StripProduct& of, const size_t (&begin)[kStripsAtOnce],
                                   const size_t (&end)[kStripsAtOnce], F32 (&sums)[kStripVectors]) {
  const StripSums<kBits> strip = of.sum<kBits>(begin[0], end[0]);
#if GRUCORE_HALVES
  sums[0] = to_float(join_halves(strip.total_of(0), of.sum<kBits>(begin[1], end[1]).total_of(0)));
#else
  GRUCORE_UNROLL(8)
  for (int v = 0; v < kStripVectors; ++v) sums[v] = to_float(strip.total_of(v));
#endif
}

// The order of docs/numerics.md, where inputs come in blocks of kBlockInputs. A call of its own, so that no argument is
// read again because a result was written.
template <int kBits>
GRUCORE_NOINLINE void product_of_strips(const StripProduct& product, const StripRow& row, float x_scale) {
  constexpr uint32_t kFours = kBlockInputs / 4;
  const StripProduct of = product;
  const StripRow at = row;
  const F32 scale = broadcast(x_scale);
  size_t next = at.begin;
  for (uint32_t strip = 0; strip < at.strips; strip += kStripsAtOnce) {
    size_t begin[kStripsAtOnce], end[kStripsAtOnce];
    GRUCORE_UNROLL(2)
    for (uint32_t s = 0; s < kStripsAtOnce; ++s) {
      begin[s] = next;
      if (s == 0 || strip + s < at.strips) next = at.ends[strip + s];
      end[s] = next;
    }
    F32 sums[kStripVectors];
    if (at.fours_of_row <= kFours) {
      sums_of_strips<kBits>(of, begin, end, sums);
    } else {
      GRUCORE_UNROLL(8)
      for (int v = 0; v < kStripVectors; ++v) sums[v] = zero();
      for (uint32_t four = 0; four < at.fours_of_row; four += kFours) {
        size_t stop[kStripsAtOnce];
        F32 some[kStripVectors];
        for (uint32_t s = 0; s < kStripsAtOnce; ++s) stop[s] = end_before(of.fours, begin[s], end[s], four + kFours);
        sums_of_strips<kBits>(of, begin, stop, some);
        for (uint32_t s = 0; s < kStripsAtOnce; ++s) begin[s] = stop[s];
        GRUCORE_UNROLL(8)
        for (int v = 0; v < kStripVectors; ++v) sums[v] = add(sums[v], some[v]);
      }
    }
    const bool is_whole = kStripsAtOnce == 1 || strip + 1 < at.strips;
    GRUCORE_UNROLL(8)
    for (int v = 0; v < kStripVectors; ++v) {
      const size_t i = size_t{strip} * kStrip + static_cast<size_t>(v * kLanes);
      if (is_whole) {
        store_product<kLanes>(at, i, mul(sums[v], scale));
      } else {
        store_product<kStripLanes>(at, i, mul(sums[v], scale));
      }
    }
  }
}

template <int kBits>
GRUCORE_NOINLINE void strips_of_panels(const ProductArgs& args, uint32_t first, uint32_t panels, bool backwards) {
  const PackedWeights& weights = *args.weights;
  StripProduct of;
  of.blocks = static_cast<const unsigned char*>(weights.data);
  of.fours = reinterpret_cast<const uint16_t*>(weights.ends + size_t{weights.gates} * weights.rows / kStrip);
  of.plane = weights.plane;
  StripRow strips;
  strips.fours_of_row = (weights.inputs + 3) / 4;
  for (uint32_t i = 0; i < panels; ++i) {
    const uint32_t row = first + (backwards ? panels - 1 - i : i) * kPanel;
    const size_t before = size_t{row} * weights.gates;
    strips.strips = panel_width(weights.rows, row) * weights.gates / kStrip;
    strips.ends = weights.ends + before / kStrip;
    strips.begin = before ? strips.ends[-1] : 0;
    strips.scales = static_cast<const float*>(weights.scale) + before;
    for (uint32_t r = 0; r < args.rows.count; ++r) {
      const size_t at = row_at(args.rows, r);
      QuantizedTap x;
      x.header = args.quantized.data + at * args.quantized.stride;
      of.values = x.header + weights.header;
      strips.y = args.y.data + at * args.y.stride + before;
      strips.start = args.bias ? args.bias + size_t{row} * args.bias_gates : args.overwrites ? nullptr : strips.y;
      product_of_strips<kBits>(of, strips, x.scale());
    }
  }
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
