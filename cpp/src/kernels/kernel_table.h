// The seam between layers and kernels: what a kernel table offers, once per instruction set.
// Pointers, sizes and PODs only, so that no vector type crosses it.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_KERNELS_KERNEL_TABLE_H_
#define GRUCORE_KERNELS_KERNEL_TABLE_H_

#include <stddef.h>
#include <stdint.h>

#include "grucore/grucore.h"
#include "kernels/parts.h"

namespace grucore {
namespace detail {

constexpr uint32_t kActivationCount = 0
#define GRUCORE_ACTIVATION(enumerator, code, name, parameters) +1
#include "kernels/activations.inc"
#undef GRUCORE_ACTIVATION
    ;
constexpr uint32_t kGateActivationCount = 8;  // those that a GRU's gates may have: codes below this

struct Activation {
  ActivationCode code;
  float alpha;
  float beta;
};

enum class BinaryOp : uint32_t { kAdd = 0, kSubtract = 1, kMultiply = 2, kMaximum = 3, kMinimum = 4 };
constexpr uint32_t kBinaryOpCount = 5;

// Which rows of a batch take part: index[0..count), or 0..count-1 where index is null.
struct Rows {
  const uint32_t* index;
  uint32_t count;
};

// Rows of floats, `stride` floats apart. Every buffer's rows are padded to whole panels of 16 floats, and kernels may
// read the padding of what they read, and write anything into that of what they write.
struct ConstMatrix {
  const float* data;
  size_t stride;
};
struct Matrix {
  float* data;
  size_t stride;
};

// Weights in panel16 (docs/format.md): `gates` times `rows` outputs of `inputs` inputs each.
struct PanelWeights {
  const float* data;
  uint32_t gates;
  uint32_t rows;
  uint32_t inputs;
};

// y = activation(bias + weights * x), for each of the rows; weights of one gate.
struct MatmulArgs {
  PanelWeights weights;
  const float* bias;
  Activation activation;
  ConstMatrix x;
  Matrix y;
  Rows rows;
};

struct CellActivations {
  Activation gate;       // of r and z
  Activation candidate;  // of n
  bool is_standard;      // sigmoid and tanh
};

// Activations of an LSTM; a plain recurrent layer has `candidate` alone.
struct GateActivations {
  Activation gate;       // of i, f and o
  Activation candidate;  // of g
  Activation cell;       // of the new cell state
  bool is_standard;      // sigmoid, tanh and tanh
};

// The arguments that are the same at every step of a recurrent layer with float32 weights.
struct FloatCell {
  PanelWeights weight_ih;  // GRU: 3 gates; LSTM: 4; plain: 1
  PanelWeights weight_hh;  // as many; reset-before: 2 gates
  PanelWeights weight_hn;  // reset-before: 1 gate; else data is null
  const float* bias;       // as many; reset-after: 4 gates
  union {
    CellActivations activations;       // of a GRU
    GateActivations gate_activations;  // of the others
  };
};

// Steps of such a layer for each of the rows. The input enters as x, or as `projected`: bias and input product, panel
// by panel, gate by gate, where that is not null.
struct FloatStepArgs {
  const FloatCell* cell;
  ConstMatrix x;
  ConstMatrix projected;
  ConstMatrix h;   // of the first frame; every other one reads what the one before has written
  Matrix out;      // does not overlap h
  Matrix scratch;  // reset-before: rows of 3 times the padded hidden size; LSTM: the cell states, before and after
  Rows rows;
  uint32_t frames;
  ptrdiff_t frame_rows;  // from a frame to the next one, of x, projected and out
  bool backwards;        // last panel first; every other frame the other way round
  float* keep;           // of a single row: where its h goes after the last frame, h itself or null
};

// The places of weights in blocks8x4 (docs/format.md): for each strip of 8 rows the blocks of all strips up to it, and
// behind that for each block two bytes that say which four inputs it multiplies. Null of other weights.
template <bool kHasBlocks>
struct BlockPlaces {
  const uint32_t* ends;
};
template <>
struct BlockPlaces<false> {};

// Weights in panel16 of any dtype, or int8 in blocks8x4, for products that are added to what stands in y already.
struct PackedWeights : BlockPlaces<kHasBlocks> {
  const void* data;
  const void* scale;  // int8: a float32 for each row; int4: a float16 for each row and 32 inputs
  WeightKind kind;
  uint32_t activation_bits;  // of integer products: 8 or 16
  uint32_t gates;
  uint32_t rows;    // of one gate
  uint32_t inputs;  // of one tap
  uint32_t taps;    // taps of a convolution, each with activations of its own scale; else 1
  // For integer weights, here so that no step works them out:
  uint32_t sums;       // groups of inputs of a tap, each summed as integers
  uint32_t header;     // bytes of a quantized tap: its scale and the sum of each group's activations,
  uint32_t plane;      // then a byte for each activation, and if they take two (activation_bytes) as many again
  uint32_t tap_bytes;  // all of it
};

// Activations as a kernel table's integer products want them: for each row `stride` bytes, private to the table.
struct QuantizedRows {
  unsigned char* data;
  size_t stride;
};

// y = bias + weights * x, or y += weights * x, for each of the rows; y[row] is panel by panel, gate by gate. Integer
// products quantize x first.
struct ProductArgs {
  const PackedWeights* weights;
  const float* bias;  // panel16 of bias_gates gates, the first of which are those of y; null: y += weights * x
  uint32_t bias_gates;
  float range;  // of x, where it is fixed; 0: the largest |x|, but at least `least`
  float least;
  ConstMatrix x;            // taps * inputs floats a row
  QuantizedRows quantized;  // x as integers: scratch of integer products
  Matrix y;
  Rows rows;
  bool backwards;   // last panel first: what was read last is in the caches still
  bool overwrites;  // y = weights * x, of one tap, without a bias; integer products only
};

// Where a gate's values come from: gate `gate` of rows with `gates` gates; stride 0: one row for all.
struct GateSource {
  const float* data;
  size_t stride;
  uint32_t gates;
  uint32_t gate;
};

// y[row] = the gates side by side, panel by panel.
struct GatherArgs {
  GateSource from[3];
  uint32_t gates;
  uint32_t units;
  Matrix y;
  Rows rows;
};

// A GRU cell after its products. Chains of r, z and (reset-after) the recurrent n stand in `sums`, panel by panel.
struct CellArgs {
  CellActivations activations;
  uint32_t units;
  GateSource input_n;  // reset-before: the chain of n; reset-after has it in PanelStepArgs::input
  Matrix sums;
  ConstMatrix h;
  Matrix out;     // h'; of the first half of reset-before r * h
  Matrix update;  // reset-before: z
  Rows rows;
};

// One step of the reset-after cell, panel by panel: the input product of a panel, its recurrent product, its cell.
struct PanelStepArgs {
  ProductArgs input;      // y: the chains after the input; weights null: they are there already, else scratch
  ProductArgs recurrent;  // y: cell.sums, scratch
  const float* bias;      // panel16 of 4 gates
  CellArgs cell;
  bool backwards;  // last panel first
  bool one_panel;  // input.y and cell.sums have room for one panel; where kStepsOnePanel
};

// One step of a layer whose gates are one chain each, panel by panel: the input product of a panel, its recurrent
// product, which continues the chains, its cells.
struct GateStepArgs;
using GateCells = void (*)(const GateStepArgs& args, uint32_t first, uint32_t panels);
struct GateStepArgs {
  ProductArgs input;      // y: the chains; weights null: they are there already
  ProductArgs recurrent;  // y: the same
  GateActivations activations;
  GateCells cells;  // of FloatKernels, for some panels from unit `first` on
  Matrix cell;      // LSTM: the cell states, before and after; a plain layer: data is null
  Matrix out;       // the new h; does not overlap the old one
  bool backwards;   // last panel first
};

enum class Spectrum : uint32_t { kPower = 0, kMagnitude = 1, kComplex = 2 };

// The spectrum of `count` samples with zeros after them, by docs/numerics.md. A transform of so many complex numbers
// (the length, half of it where it is even) is one of `rows` for each of the columns, then one of as many as there are
// columns for each of the rows. The way back takes x (bins, real parts and then imaginary ones) and no form or count.
struct RfftArgs {
  uint32_t length;
  uint32_t rows, columns;
  Spectrum form;
  const float* roots;  // cosines, then negative sines, of 2 pi k / length
  const float* x;
  uint32_t count;
  float* y;
  float* scratch;  // rfft_scratch(rows, columns) floats
};

// For each head: the values by the softmax of the scores of its query with the keys. Nothing past `length` is read.
struct AttendArgs {
  const float* query;  // heads * key_width
  ConstMatrix keys;    // the same for all heads, as the values are
  ConstMatrix values;
  const float* vector;  // additive: key_width floats; null: the scores are dot products
  float scale;          // of the scores
  uint32_t heads;
  uint32_t key_width;
  uint32_t width;   // of the values
  uint32_t length;  // rows of keys and values; 0: y is zeros
  float* scores;    // scratch of so many floats
  float* y;         // heads * width
};

// Firmware steps panel by panel in memory for one of them, and has no kernel of whole steps.
#if defined(GRUCORE_ONLY_SCALAR)
constexpr bool kStepsOnePanel = true, kHasFusedSteps = false;
#else
constexpr bool kStepsOnePanel = false, kHasFusedSteps = true;
#endif

#if defined(GRUCORE_ONLY_SCALAR)

// One table: each kernel is a constant of its own, so that a linker leaves out those that no layer of the build calls.
struct FloatKernels {
#define GRUCORE_FLOAT_KERNEL(result, name, parameters) static result(*const name) parameters;
#define GRUCORE_FUSED_KERNEL(result, name, parameters) static constexpr result(*name) parameters = nullptr;
#include "kernels/float_kernels.inc"
#undef GRUCORE_FUSED_KERNEL
#undef GRUCORE_FLOAT_KERNEL
};
struct IntegerKernels {
#define GRUCORE_INTEGER_KERNEL(name, parameters) static void(*const name) parameters;
#include "kernels/integer_kernels.inc"
#undef GRUCORE_INTEGER_KERNEL
};

#else

struct FloatKernels {
#define GRUCORE_FLOAT_KERNEL(result, name, parameters) result(*name) parameters;
#define GRUCORE_FUSED_KERNEL GRUCORE_FLOAT_KERNEL
#include "kernels/float_kernels.inc"
#undef GRUCORE_FUSED_KERNEL
#undef GRUCORE_FLOAT_KERNEL
};
struct IntegerKernels {
#define GRUCORE_INTEGER_KERNEL(name, parameters) void(*name) parameters;
#include "kernels/integer_kernels.inc"
#undef GRUCORE_INTEGER_KERNEL
};

#endif

// The class of an instruction set, as isa_list.inc says.
constexpr Numerics numerics_of(Isa isa) {
  switch (isa) {
#define GRUCORE_ISA_ROW(name, number, numerics, architecture, feature) \
  case Isa::name: return Numerics::numerics;
#include "grucore/isa_list.inc"
#undef GRUCORE_ISA_ROW
  }
  return Numerics::kExact;
}

// Tables that differ in their integer products only (avx512vnni from avx512) share the rest.
struct KernelTable {
  Isa isa;
  const FloatKernels* floats;
  const IntegerKernels* integers;
};

constexpr uint32_t kPanel = 16;

// static: kernel files must not share functions, not even these.
static constexpr uint32_t round_up(uint32_t value, uint32_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}
// Rows of a matrix in panel16, padding included.
static constexpr uint32_t padded_rows(uint32_t rows) { return round_up(rows, 4); }

constexpr uint32_t kBlockInputs = 1024;  // summed as integers before they become a float: int8
constexpr uint32_t kGroupInputs = 32;    // the same of int4, one scale each

// Bytes of an activation with so many bits, as it stands in QuantizedRows. Firmware has one way for both widths.
static constexpr uint32_t activation_bytes(uint32_t bits) {
#if defined(GRUCORE_ONLY_SCALAR)
  return bits ? 2 : 0;
#else
  return bits / 8;
#endif
}

static constexpr bool is_integer(WeightKind kind) {
  return (has_weights(WeightKind::kInt8) && kind == WeightKind::kInt8) ||
         (has_weights(WeightKind::kInt4) && kind == WeightKind::kInt4);
}
// Whose kernels multiply such weights: the integer ones, or the float ones.
static constexpr bool takes_integers(WeightKind kind) {
  return is_integer(kind) || (!has_weights(WeightKind::kFloat32) && !has_weights(WeightKind::kFloat16));
}
// Floats of a plane of its numbers, with one more and with the padding of rows, whichever way the matrix lies.
static constexpr uint32_t rfft_plane(uint32_t rows, uint32_t columns) {
  const uint32_t wide = rows * round_up(columns, kPanel), high = columns * round_up(rows, kPanel);
  return round_up(wide > high ? wide : high, kPanel) + kPanel;
}
// Real and imaginary parts: before a pass, after it, mirrored.
static constexpr uint32_t rfft_scratch(uint32_t rows, uint32_t columns) { return 6 * rfft_plane(rows, columns); }

// Inputs of a tap with their padding.
static constexpr uint32_t padded_inputs(WeightKind kind, uint32_t inputs) {
  return kind == WeightKind::kInt8 ? round_up(inputs, 4) : kind == WeightKind::kInt4 ? round_up(inputs, 8) : inputs;
}
static constexpr uint32_t sums_of(WeightKind kind, uint32_t inputs) {
  return kind == WeightKind::kInt8 ? (inputs + kBlockInputs - 1) / kBlockInputs
                                   : (inputs + kGroupInputs - 1) / kGroupInputs;
}

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_KERNELS_KERNEL_TABLE_H_
