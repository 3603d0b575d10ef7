// y = bias + weights * x, or y += weights * x, for int8 weights and many rows, in tile registers. Included once per
// instruction set, inside its target region.
//
// The gates of a panel are columns of sums, 16 units wide. panel16 has the four inputs of a unit side by side and the
// units of a gate after each other, as a tile of weights wants them: it is loaded from where it stands, its rows as far
// apart as one four of inputs is from the next.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

constexpr uint32_t kMostTileRows = 16;
constexpr uint32_t kTileFours = 16;
constexpr uint32_t kTileInputs = 4 * kTileFours;
constexpr int kColumnsAtOnce = 3;
// Registers: sums of three columns, activations, weights, and both of the last inputs, which may be fewer.
constexpr int kSums = 0, kBytesTile = 3, kWeightsTile = 4, kLastBytes = 5, kLastWeights = 6;

constexpr int kPlanesOf8 = 1, kPlanesOf16 = 2;
template <int kBits>
constexpr int kPlanes = kBits == 8 ? kPlanesOf8 : kPlanesOf16;

// The sums of one column: 16 rows of 16 units.
struct alignas(64) ColumnSums {
  int32_t at[kMostTileRows][kPanel];
};
template <int kBits>
using Column = ColumnSums[kPlanes<kBits>];

// How rows of activations are cut into blocks of as many rows; the last one goes back over rows of the one before.
struct RowBlocks {
  uint32_t count, blocks, height;

  GRUCORE_INLINE explicit RowBlocks(uint32_t rows)
      : count(rows), blocks((rows + kMostTileRows - 1) / kMostTileRows), height((rows + blocks - 1) / blocks) {}
  GRUCORE_INLINE uint32_t first(uint32_t block) const {
    const uint32_t row = block * height;
    return row + height <= count ? row : count - height;
  }
  // Those that no block before had.
  GRUCORE_INLINE uint32_t first_new(uint32_t block) const { return block * height; }
  GRUCORE_INLINE uint32_t end(uint32_t block) const { return first(block) + height; }
};

// A matrix and its quantized activations; row i of these is the i-th of the rows that take part, so that tiles have
// neighbours. Copied: for all that a compiler knows, what is written might be the arguments.
struct TileMatrix {
  const unsigned char* weights;
  const float* scales;
  const unsigned char* quantized;
  size_t quantized_stride, tap_bytes, header, plane;
  size_t row_bytes;  // of weights under all taps
  uint32_t fours, gates, rows, panels;

  GRUCORE_INLINE explicit TileMatrix(const ProductArgs& args)
      : weights(static_cast<const unsigned char*>(args.weights->data)),
        scales(static_cast<const float*>(args.weights->scale)),
        quantized(args.quantized.data),
        quantized_stride(args.quantized.stride),
        tap_bytes(args.weights->tap_bytes),
        header(args.weights->header),
        plane(args.weights->plane),
        row_bytes(size_t{padded_inputs(WeightKind::kInt8, args.weights->inputs)} * args.weights->taps),
        fours((args.weights->inputs + 3) / 4),
        gates(args.weights->gates),
        rows(args.weights->rows),
        panels((args.weights->rows + kPanel - 1) / kPanel) {}

  GRUCORE_INLINE uint32_t width(uint32_t panel) const { return panel_width(rows, panel * kPanel); }
  // The fours of the last tile of inputs. Those of all panels but the last are read as a whole tile, into the next
  // panel, where zeros among the activations meet them.
  GRUCORE_INLINE uint32_t last_fours(uint32_t panel) const { return panel + 1 == panels ? fours % kTileFours : 0; }
  GRUCORE_INLINE const unsigned char* gate(uint32_t panel, uint32_t gate) const {
    return weights + size_t{panel} * kPanel * gates * row_bytes + size_t{gate} * 4 * width(panel);
  }
  GRUCORE_INLINE const float* scales_of(uint32_t panel, uint32_t gate) const {
    return scales + size_t{panel} * kPanel * gates + size_t{gate} * width(panel);
  }
  GRUCORE_INLINE size_t pitch(uint32_t panel) const { return size_t{width(panel)} * gates * 4; }
  GRUCORE_INLINE const unsigned char* activations(uint32_t row) const { return quantized + row * quantized_stride; }
  GRUCORE_INLINE float scale_of(uint32_t row, size_t tap = 0) const {
    float scale;
    __builtin_memcpy(&scale, activations(row) + tap * tap_bytes, sizeof scale);
    return scale;
  }
};

// The shapes that are set.
class ShapesInUse {
 public:
  // The shapes of a matrix's last panel, which may do for the others too.
  GRUCORE_INLINE ShapesInUse(uint32_t height, const TileMatrix& matrix) : height_(height), width_(0), last_fours_(0) {
    set(matrix.width(0), matrix.last_fours(matrix.panels - 1));
  }

  // Columns of `width` units; the last inputs are so many fours, 0 where they fill a tile.
  GRUCORE_INLINE void set(uint32_t width, uint32_t last_fours) {
    if (width != width_ || (last_fours && last_fours != last_fours_)) change(width, last_fours);
  }

 private:
  GRUCORE_NOINLINE void change(uint32_t width, uint32_t last_fours) {
    width_ = width;
    last_fours_ = last_fours;
    TileShapes shapes = {};
    shapes.palette = 1;
    const auto shape = [&shapes](int tile, uint32_t rows, uint32_t bytes) {
      shapes.rows[tile] = static_cast<unsigned char>(rows);
      shapes.row_bytes[tile] = static_cast<uint16_t>(bytes);
    };
    for (int i = 0; i < kColumnsAtOnce; ++i) shape(kSums + i, height_, 4 * width);
    shape(kBytesTile, height_, kTileInputs);
    shape(kWeightsTile, kTileFours, 4 * width);
    if (last_fours) {
      shape(kLastBytes, height_, 4 * last_fours);
      shape(kLastWeights, last_fours, 4 * width);
    }
    set_shapes(shapes);
  }

  uint32_t height_, width_, last_fours_;
};

// The products of some columns on their way: one tile of inputs after the other.
template <int kCount>
struct TileRun {
  const unsigned char* weights[kCount];
  const unsigned char* bytes;
  size_t pitch, stride;
  uint32_t tiles, last_fours;

  GRUCORE_INLINE void start() const {
    zero_tile<kSums>();
    if constexpr (kCount > 1) zero_tile<kSums + 1>();
    if constexpr (kCount > 2) zero_tile<kSums + 2>();
  }
  GRUCORE_INLINE void add_tile() {
    load_tile<kBytesTile>(bytes, stride);
    add_column<0, kBytesTile, kWeightsTile>();
    add_column<1, kBytesTile, kWeightsTile>();
    add_column<2, kBytesTile, kWeightsTile>();
    bytes += kTileInputs;
  }
  GRUCORE_INLINE void add_last() {
    load_tile<kLastBytes>(bytes, stride);
    add_column<0, kLastBytes, kLastWeights>();
    add_column<1, kLastBytes, kLastWeights>();
    add_column<2, kLastBytes, kLastWeights>();
  }
  // Column i goes to the i-th of the sums that are `apart` bytes apart.
  GRUCORE_INLINE void finish(ColumnSums* to, size_t apart) const {
    store_tile<kSums>(to, sizeof to->at[0]);
    if constexpr (kCount > 1) store_tile<kSums + 1>(to + apart, sizeof to->at[0]);
    if constexpr (kCount > 2) store_tile<kSums + 2>(to + 2 * apart, sizeof to->at[0]);
  }

 private:
  template <int kColumn, int kBytes, int kWeights>
  GRUCORE_INLINE void add_column() {
    if constexpr (kColumn < kCount) {
      load_tile<kWeights>(weights[kColumn], pitch);
      multiply_tiles<kSums + kColumn, kBytes, kWeights>();
      weights[kColumn] += kTileFours * pitch;
    }
  }
};

// The quantized activations of the rows that take part, one after the other, with zeros up to a whole tile.
template <int kBits>
GRUCORE_INLINE void quantize_for_tiles(const ProductArgs& args, float levels) {
  const PackedWeights& weights = *args.weights;
  const uint32_t count = weights.inputs, taps = weights.taps, header = weights.header, end = round_up(count, kPanel);
  const size_t plane = weights.plane, tap_bytes = weights.tap_bytes;
  for (uint32_t i = 0; i < args.rows.count; ++i) {
    const float* x = args.x.data + row_at(args.rows, i) * args.x.stride;
    unsigned char* to = args.quantized.data + i * args.quantized.stride;
    for (uint32_t s = 0; s < taps; ++s, x += count, to += tap_bytes) {
      const Scaling scaling = scaling_of(args, x, count, levels);
      __builtin_memcpy(to, &scaling.scale, sizeof scaling.scale);
      unsigned char* const values = to + header;
      if (scaling.inverse == 0.0f) {
        __builtin_memset(values, 0, tap_bytes - header);
        continue;
      }
      const Quantizer by = {broadcast(scaling.inverse), broadcast(levels), args.range > 0};
      uint32_t k = 0;
      for (; k + kStored <= count; k += kStored) {
        const I32 q[1] = {quantize_lanes(load(x + k), by, true)};
        store_activations<kBits>(values, k, plane, q);
      }
      for (; k < plane; k += kStored) {
        I32 q[1] = {broadcast_i32(0)};
        if (k < end) q[0] = quantize_lanes(load_n(x + k, static_cast<int>(count - k)), by, true);
        store_activations<kBits>(values, k, plane, q);
      }
    }
  }
}
GRUCORE_NOINLINE void quantize_for_tiles(const ProductArgs& args) {
  if (args.weights->activation_bits == 8) {
    quantize_for_tiles<8>(args, 127.0f);
  } else {
    quantize_for_tiles<16>(args, 16383.0f);
  }
}

// Row `row` of a column's sums, as floats: P of docs/numerics.md.
template <int kBits>
GRUCORE_INLINE F32 column_sum(const Column<kBits>& column, uint32_t row) {
  const auto words = [&column, row](int plane) {
    I32 sum;
    __builtin_memcpy(&sum, column[plane].at[row], sizeof sum);
    return sum;
  };
  if constexpr (kBits == 16) return to_float(add(shift_left<7>(words(0)), words(1)));
  return to_float(words(0));
}

// Some columns, in the order of panels and gates: those from number `first` on.
template <int kBits, int kCount>
GRUCORE_NOINLINE void multiply_columns(const ProductArgs& args, const TileMatrix& matrix, const RowBlocks& blocks,
                                       ShapesInUse& shapes, uint32_t first) {
  Column<kBits> sums[kCount];
  uint32_t panel[kCount], gate[kCount];
  size_t at[kCount];
  const uint32_t last = (first + kCount - 1) / matrix.gates, width = matrix.width(last);
  for (int c = 0; c < kCount; ++c) {
    const uint32_t column = first + static_cast<uint32_t>(c);
    panel[c] = column / matrix.gates;
    gate[c] = column % matrix.gates;
    at[c] = size_t{panel[c]} * kPanel * matrix.gates + size_t{gate[c]} * width;
  }
  const uint32_t last_fours = matrix.last_fours(last);
  const uint32_t tiles = last_fours ? matrix.fours / kTileFours : (matrix.fours + kTileFours - 1) / kTileFours;
  shapes.set(width, last_fours);
  const auto lanes = static_cast<int>(width);
  const uint32_t taps = args.weights->taps;
  const size_t tap_weights = matrix.fours * matrix.pitch(last);
  for (uint32_t block = 0; block < blocks.blocks; ++block) {
    const uint32_t row = blocks.first(block);
    for (uint32_t s = 0; s < taps; ++s) {
      for (int plane = 0; plane < kPlanes<kBits>; ++plane) {
        TileRun<kCount> run;
        for (int c = 0; c < kCount; ++c) run.weights[c] = matrix.gate(panel[c], gate[c]) + s * tap_weights;
        run.bytes = matrix.activations(row) + s * matrix.tap_bytes + matrix.header + plane * matrix.plane;
        run.pitch = matrix.pitch(last);
        run.stride = matrix.quantized_stride;
        run.start();
        for (uint32_t tile = 0; tile < tiles; ++tile) run.add_tile();
        if (last_fours) run.add_last();
        run.finish(&sums[0][plane], kPlanes<kBits>);
      }
      for (uint32_t r = blocks.first_new(block); r < blocks.end(block); ++r) {
        const F32 scale = broadcast(matrix.scale_of(r, s));
        float* const y = args.y.data + row_at(args.rows, r) * args.y.stride;
        for (int c = 0; c < kCount; ++c) {
          F32 sum =
              mul(mul(column_sum<kBits>(sums[c], r - row), scale), load_n(matrix.scales_of(panel[c], gate[c]), lanes));
          if (s == 0 && args.bias) {
            const float* const bias = args.bias + size_t{panel[c]} * kPanel * args.bias_gates + size_t{gate[c]} * width;
            sum = add(load_n(bias, lanes), sum);
          } else if (!args.overwrites) {
            sum = add(load_n(y + at[c], lanes), sum);
          }
          store_n(y + at[c], sum, lanes);
        }
      }
    }
  }
}

template <int kBits>
GRUCORE_INLINE void multiply_some(const ProductArgs& args, const TileMatrix& matrix, const RowBlocks& blocks,
                                  ShapesInUse& shapes, uint32_t begin, uint32_t end) {
  uint32_t column = begin;
  for (; end - column >= 3; column += 3) multiply_columns<kBits, 3>(args, matrix, blocks, shapes, column);
  if (end - column == 2) multiply_columns<kBits, 2>(args, matrix, blocks, shapes, column);
  if (end - column == 1) multiply_columns<kBits, 1>(args, matrix, blocks, shapes, column);
}

// The panels from number `begin` to `end`; the last one of the matrix alone, since its tiles may have other shapes.
GRUCORE_NOINLINE void multiply_in_tiles(const ProductArgs& args, uint32_t begin, uint32_t end) {
  const TileMatrix matrix(args);
  const RowBlocks blocks(args.rows.count);
  ShapesInUse shapes(blocks.height, matrix);
  const auto some = args.weights->activation_bits == 8 ? multiply_some<8> : multiply_some<16>;
  const uint32_t whole = end == matrix.panels ? end - 1 : end;
  if (args.backwards && whole < end) some(args, matrix, blocks, shapes, whole * matrix.gates, end * matrix.gates);
  some(args, matrix, blocks, shapes, begin * matrix.gates, whole * matrix.gates);
  if (!args.backwards && whole < end) some(args, matrix, blocks, shapes, whole * matrix.gates, end * matrix.gates);
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
