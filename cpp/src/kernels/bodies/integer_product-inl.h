// y = bias + weights * x, or y += weights * x, for int8 and int4 weights. Included once per instruction set, inside its
// target region.
//
// A panel's gates lie side by side along k, so that a panel of G gates and w rows is one of G * w rows. Each lane
// has one row; sums are exact, so that they may be split; they become floats per block of inputs (int8) or per
// group of inputs (int4), in the order of docs/numerics.md.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// sums[r][v] = P of docs/numerics.md, int8.
template <int kBits, int kVectors, int kLast, int kRows, int kSide = kVectors>
GRUCORE_INLINE void sum_blocks(const PackedWeights& weights, const TileWeights& tile, const unsigned char* w,
                               const QuantizedTap (&x)[kRows], F32 (&sums)[kRows][kVectors]) {
  constexpr int kOfChain = kVectors * Dots<kBits>::kRegisters, kInFlight = (kDotsInFlight + kOfChain - 1) / kOfChain;
  constexpr int kChains = kRows > 1 ? 1 : kInFlight > 8 ? 8 : kInFlight;
  const size_t plane = weights.plane;
  const uint32_t fours = (weights.inputs + 3) / 4;
  size_t q = 0;
  for (uint32_t block = 0; q < fours; ++block) {
    const size_t end = fours - q < kBlockInputs / 4 ? fours : q + kBlockInputs / 4;
    Dots<kBits> dots[kChains][kRows][kVectors];
    GRUCORE_UNROLL(8)
    for (int c = 0; c < kChains; ++c) {
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) {
        const int32_t start = c == 0 ? correction(x[r].sum(block), kWeightOffset) : 0;
        GRUCORE_UNROLL(12)
        for (int v = 0; v < kVectors; ++v) dots[c][r][v] = dots_from<kBits>(start);
      }
    }
    for (; q + kChains <= end; q += kChains) {
      GRUCORE_UNROLL(8)
      for (int c = 0; c < kChains; ++c) {
        Four<kBits> four[kRows];
        GRUCORE_UNROLL(8)
        for (int r = 0; r < kRows; ++r)
          four[r] = load_four<kBits>(x[r].values, 4 * (q + static_cast<size_t>(c)), plane);
        GRUCORE_UNROLL(12)
        for (int v = 0; v < kVectors; ++v) {
          const I8 bytes = biased(load_weights<kLast>(tile, w + 4 * vector_at<kSide>(tile, v)));
          GRUCORE_UNROLL(8)
          for (int r = 0; r < kRows; ++r) add_products(dots[c][r][v], bytes, four[r]);
        }
        w += tile.pitch;
      }
    }
    for (; kChains > 1 && q < end; ++q) {
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) {
        const Four<kBits> four = load_four<kBits>(x[r].values, 4 * q, plane);
        GRUCORE_UNROLL(12)
        for (int v = 0; v < kVectors; ++v) {
          const unsigned char* const from = w + 4 * vector_at<kSide>(tile, v);
          add_products(dots[0][r][v], biased(load_weights<kLast>(tile, from)), four);
        }
      }
      w += tile.pitch;
    }
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      GRUCORE_UNROLL(12)
      for (int v = 0; v < kVectors; ++v) {
        GRUCORE_UNROLL(8)
        for (int c = 1; c < kChains; ++c) join(dots[0][r][v], dots[c][r][v]);
        sums[r][v] = add(sums[r][v], to_float(total(dots[0][r][v])));
      }
    }
  }
}

// The same of int4.
template <int kBits, int kVectors, int kLast, int kRows>
GRUCORE_INLINE void sum_groups_of(const PackedWeights& weights, const TileWeights& tile, const unsigned char* w,
                                  const uint16_t* scale, const QuantizedTap (&x)[kRows], F32 (&sums)[kRows][kVectors]) {
  constexpr uint32_t kNibbleOffset = 8;
  const size_t plane = weights.plane;
  const uint32_t eights = (weights.inputs + 7) / 8;
  size_t q = 0;
  for (uint32_t group = 0; q < eights; ++group) {
    const size_t end = eights - q < kGroupInputs / 8 ? eights : q + kGroupInputs / 8;
    Dots<kBits> dots[2][kRows][kVectors];
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      const int32_t start = correction(x[r].sum(group), kNibbleOffset);
      GRUCORE_UNROLL(12)
      for (int v = 0; v < kVectors; ++v) {
        dots[0][r][v] = dots_from<kBits>(start);
        dots[1][r][v] = dots_from<kBits>(0);
      }
    }
    for (; q < end; ++q) {
      I8 low[kVectors], high[kVectors];
      GRUCORE_UNROLL(12)
      for (int v = 0; v < kVectors; ++v) {
        const I8 nibbles = load_weights<kLast>(tile, w + v * 4 * kLanes);
#if GRUCORE_NIBBLES_STAY
        low[v] = low_flipped(nibbles);
        high[v] = high_flipped(nibbles);
#else
        low[v] = low_nibbles(flip_nibbles(nibbles));
        high[v] = high_nibbles(flip_nibbles(nibbles));
#endif
      }
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) {
        const Four<kBits> first = load_four<kBits>(x[r].values, 8 * q, plane);
        const Four<kBits> second = load_four<kBits>(x[r].values, 8 * q + 4, plane);
        GRUCORE_UNROLL(12)
        for (int v = 0; v < kVectors; ++v) {
          add_nibble_products(dots[0][r][v], low[v], first);
          add_nibble_products(dots[1][r][v], high[v], second);
        }
      }
      w += tile.pitch;
    }
    GRUCORE_UNROLL(12)
    for (int v = 0; v < kVectors; ++v) {
      const F32 of_group = load_vector<kLast>(scale + v * kLanes, tile.lanes);
      GRUCORE_UNROLL(8)
      for (int r = 0; r < kRows; ++r) {
#if GRUCORE_NIBBLES_STAY
        join_sixteenth(dots[0][r][v], dots[1][r][v]);
#else
        join(dots[0][r][v], dots[1][r][v]);
#endif
        sums[r][v] = add(sums[r][v], mul(to_float(total(dots[0][r][v])), of_group));
      }
    }
    scale += tile.scale_pitch;
  }
}

// Where kRows rows of activations and results stand.
template <int kRows>
struct TileRows {
  float* y[kRows];
  QuantizedTap x[kRows];

  GRUCORE_INLINE TileRows(const ProductArgs& args, const TileWeights& tile, uint32_t first) {
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      const size_t row = row_in_tile(args.rows, first, r);
      y[r] = args.y.data + row * args.y.stride + tile.at;
      x[r].header = args.quantized.data + row * args.quantized.stride;
      x[r].values = x[r].header + args.weights->header;
    }
  }
  GRUCORE_INLINE void next_tap(uint32_t bytes) {
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      x[r].header += bytes;
      x[r].values += bytes;
    }
  }
};

// Rows of activations that share a load of weights.
template <int kBits>
constexpr int kRowsAtOnce = kBits == 8 || kIntegerRows == 1 ? kIntegerRows : kIntegerRows / 2;

template <int kRows, int kVectors>
GRUCORE_INLINE void set_zero(F32 (&sums)[kRows][kVectors]) {
  GRUCORE_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    GRUCORE_UNROLL(12)
    for (int v = 0; v < kVectors; ++v) sums[r][v] = zero();
  }
}

template <int kBits, int kVectors, int kLast, int kRows>
GRUCORE_INLINE void int8_tile(const ProductArgs& args, const TileWeights& tile, uint32_t first) {
  const PackedWeights& weights = *args.weights;
  // Read before anything is written, which might be these for all that a compiler knows.
  const uint32_t taps = weights.taps, tap_bytes = weights.tap_bytes;
  const bool adds = !args.overwrites;
  const int lanes = tile.lanes;
  const float* const scales = tile.scale;
  const float* start = tile.bias;  // null: what stands in y
  TileRows<kRows> rows(args, tile, first);
  const unsigned char* w = tile.weights;
  for (uint32_t s = 0;;) {
    F32 sums[kRows][kVectors];
    set_zero(sums);
    sum_blocks<kBits, kVectors, kLast>(weights, tile, w, rows.x, sums);
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      const F32 scale = broadcast(rows.x[r].scale());
      GRUCORE_UNROLL(12)
      for (int v = 0; v < kVectors; ++v) {
        sums[r][v] = mul(mul(sums[r][v], scale), load_vector<kLast>(scales + v * kLanes, lanes));
      }
    }
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      if (adds) {
        const float* const from = start ? start : rows.y[r];
        GRUCORE_UNROLL(12)
        for (int v = 0; v < kVectors; ++v) {
          sums[r][v] = add(load_vector<kLast>(from + v * kLanes, lanes), sums[r][v]);
        }
      }
      GRUCORE_UNROLL(12)
      for (int v = 0; v < kVectors; ++v) store_vector<kLast>(rows.y[r] + v * kLanes, sums[r][v], lanes);
    }
    if (++s == taps) return;
    start = nullptr;
    w += size_t{padded_inputs(WeightKind::kInt8, weights.inputs)} / 4 * tile.pitch;
    rows.next_tap(tap_bytes);
  }
}

// Its groups of inputs are short, and leave no register for what int8_tile keeps: it reads its arguments again instead.
template <int kBits, int kVectors, int kLast, int kRows>
GRUCORE_INLINE void int4_tile(const ProductArgs& args, const TileWeights& tile, uint32_t first) {
  const PackedWeights& weights = *args.weights;
  TileRows<kRows> rows(args, tile, first);
  const unsigned char* w = tile.weights;
  const uint16_t* group_scale = tile.group_scale;
  for (uint32_t s = 0; s < weights.taps; ++s) {
    F32 sums[kRows][kVectors];
    set_zero(sums);
    sum_groups_of<kBits, kVectors, kLast>(weights, tile, w, group_scale, rows.x, sums);
    w += size_t{padded_inputs(WeightKind::kInt4, weights.inputs)} / 8 * tile.pitch;
    group_scale += weights.sums * tile.scale_pitch;
    GRUCORE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      const F32 scale = broadcast(rows.x[r].scale());
      GRUCORE_UNROLL(12)
      for (int v = 0; v < kVectors; ++v) {
        float* const to = rows.y[r] + v * kLanes;
        F32 product = mul(sums[r][v], scale);
        if (!args.overwrites) {
          product = add(load_vector<kLast>(s == 0 && tile.bias ? tile.bias + v * kLanes : to, tile.lanes), product);
        }
        store_vector<kLast>(to, product, tile.lanes);
      }
    }
    rows.next_tap(weights.tap_bytes);
  }
}

template <WeightKind kKind, int kBits, int kVectors, int kLast, int kRows>
GRUCORE_INLINE void integer_tile(const ProductArgs& args, const TileWeights& tile, uint32_t first) {
  if constexpr (kKind == WeightKind::kInt8) {
    int8_tile<kBits, kVectors, kLast, kRows>(args, tile, first);
  } else {
    int4_tile<kBits, kVectors, kLast, kRows>(args, tile, first);
  }
}

// A call of its own: what several rows need would be saved and restored for one.
template <WeightKind kKind, int kBits, int kVectors, int kLast>
GRUCORE_NOINLINE void one_row(const ProductArgs& args, const TileWeights& tile, uint32_t row) {
  integer_tile<kKind, kBits, kVectors, kLast, 1>(args, tile, row);
}
template <WeightKind kKind, int kBits, int kVectors, int kLast>
GRUCORE_NOINLINE void all_rows(const ProductArgs& args, const TileWeights& tile) {
  constexpr int kRows = kRowsAtOnce<kBits>;
  const uint32_t count = args.rows.count;
  // Twice the same row is no harm where nothing is added to what stands there.
  const bool pads = args.overwrites || (args.bias && args.weights->taps == 1);
  uint32_t i = 0;
  if constexpr (kRows > 1) {
    for (; i < count && count - i >= (pads ? 2 : static_cast<uint32_t>(kRows)); i += kRows) {
      integer_tile<kKind, kBits, kVectors, kLast, kRows>(args, tile, i);
    }
  }
  for (; i < count; ++i) one_row<kKind, kBits, kVectors, kLast>(args, tile, i);
}
template <WeightKind kKind, int kBits, int kVectors, int kLast>
GRUCORE_INLINE void rows_of_tile(const ProductArgs& args, const TileWeights& tile) {
  if (args.rows.count == 1) {
    one_row<kKind, kBits, kVectors, kLast>(args, tile, 0);
  } else {
    all_rows<kKind, kBits, kVectors, kLast>(args, tile);
  }
}

// `lanes` rows of the panel that starts at row `row`, from lane `lane` on.
template <WeightKind kKind>
GRUCORE_INLINE TileWeights tile_weights(const ProductArgs& args, uint32_t row, uint32_t width, uint32_t lane,
                                        uint32_t lanes) {
  const PackedWeights& weights = *args.weights;
  const size_t before = size_t{row} * weights.gates;
  const size_t bytes_of_row = size_t{padded_inputs(kKind, weights.inputs)} * weights.taps;
  TileWeights tile;
  tile.pitch = size_t{width} * 4;
  tile.at = static_cast<uint32_t>(before + lane);
  tile.lanes = static_cast<int>(lanes);
  tile.apart = 0;
  tile.bias = args.bias ? args.bias + size_t{row} * args.bias_gates + lane : nullptr;
  tile.weights = static_cast<const unsigned char*>(weights.data) + size_t{lane} * 4;
  if constexpr (kKind == WeightKind::kInt8) {
    tile.weights += before * bytes_of_row;
    tile.scale = static_cast<const float*>(weights.scale) + before + lane;
  } else {
    tile.weights += before * bytes_of_row / 2;
    tile.group_scale = static_cast<const uint16_t*>(weights.scale) + before * weights.sums * weights.taps + lane;
    tile.scale_pitch = width;
  }
  return tile;
}

// Four gates of a panel are no multiple of three vectors. An instruction set that is fast at products has tiles for
// them.
constexpr bool kFourGates = kHasMasks && kDotsInFlight > 1;

template <WeightKind kKind, int kBits>
GRUCORE_NOINLINE void integer_panels(const ProductArgs& args, uint32_t first, uint32_t panels, bool backwards) {
#if defined(GRUCORE_PLAIN)
  if constexpr (kHasPlainPanels<kKind>) return plain_panels<kKind, kBits>(args, first, panels, backwards);
#endif
  constexpr uint32_t kWide = kIntegerVectors * kLanes, kFew = kFewVectors * kLanes;
  for (uint32_t i = 0; i < panels; ++i) {
    const uint32_t row = first + (backwards ? panels - 1 - i : i) * kPanel;
    const uint32_t width = panel_width(args.weights->rows, row) * args.weights->gates;
    uint32_t lane = 0;
    if constexpr (kKind == WeightKind::kInt8 && kFourGates) {
      if (args.weights->gates == 4 && (kBits == 8 || args.rows.count == 1)) {
        for (; width - lane >= 4 * kLanes; lane += 4 * kLanes) {
          const TileWeights tile = tile_weights<kKind>(args, row, width, lane, kLanes);
          if constexpr (kBits == 8) {
            rows_of_tile<kKind, kBits, 4, kLanes>(args, tile);
          } else {  // sums of several rows would leave no register for their weights
            one_row<kKind, kBits, 4, kLanes>(args, tile, 0);
          }
        }
      }
    }
    for (; width - lane >= kWide; lane += kWide) {
      rows_of_tile<kKind, kBits, kIntegerVectors, kLanes>(args, tile_weights<kKind>(args, row, width, lane, kLanes));
    }
    while (kWide > 4 && lane < width) {
      const uint32_t lanes = width - lane < kFew ? width - lane : kFew;
      const TileWeights tile = tile_weights<kKind>(args, row, width, lane, lanes);
      if constexpr (kHasMasks || kLanes <= 4) {
        rows_of_tile<kKind, kBits, kFewVectors, kHasMasks ? kAnyLanes : kLanes>(args, tile);
      } else if (lanes == kFew) {
        rows_of_tile<kKind, kBits, kFewVectors, kLanes>(args, tile);
      } else {
        rows_of_tile<kKind, kBits, 1, 4>(args, tile);
      }
      lane += lanes;
    }
  }
}

struct AnyIntegerPanels {
  // So many that the latency of one cell hides behind others, where there is room for them.
  static constexpr uint32_t kPanels = kStepsOnePanel ? 1 : 16;
  static GRUCORE_INLINE void run(const ProductArgs& args, uint32_t first, uint32_t panels, bool backwards) {
    run_kind(args, first, panels, backwards, args.weights->kind);
  }

 private:
  // A template, so that kinds which this build has not are not compiled.
  template <class Kind>
  static GRUCORE_INLINE void run_kind(const ProductArgs& args, uint32_t first, uint32_t panels, bool backwards,
                                      Kind kind) {
    if constexpr (has_weights(Kind::kInt8)) {
      if (!has_weights(Kind::kInt4) || kind == Kind::kInt8)
        return run_bits<Kind::kInt8>(args, first, panels, backwards);
    }
    if constexpr (has_weights(Kind::kInt4)) run_bits<Kind::kInt4>(args, first, panels, backwards);
  }
  template <WeightKind kKind>
  static GRUCORE_INLINE void run_bits(const ProductArgs& args, uint32_t first, uint32_t panels, bool backwards) {
    // Activations of both widths look alike there.
    constexpr int kNarrow = activation_bytes(8) == activation_bytes(16) ? 16 : 8;
    const bool is_narrow = args.weights->activation_bits == 8;
#if GRUCORE_HAS_BLOCKS
    if (kKind == WeightKind::kInt8 && args.weights->ends) {
      const auto blocks = is_narrow ? strips_of_panels<kNarrow> : strips_of_panels<16>;
      return blocks(args, first, panels, backwards);
    }
#endif
    const auto kernel = is_narrow ? integer_panels<kKind, kNarrow> : integer_panels<kKind, 16>;
    kernel(args, first, panels, backwards);
  }
};

void integer_product(const ProductArgs& args) {
  quantize(args);
  multiply_panels<AnyIntegerPanels>(args);
}
}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
