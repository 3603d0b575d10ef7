// All integer kernels of an instruction set that multiplies in tile registers: where there are few rows, or weights
// that no tile takes, those of another table. Included once per instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

#include "kernels/bodies/planes-inl.h"

#include "kernels/bodies/quantize-inl.h"

#include "kernels/bodies/tile_product-inl.h"
#include "kernels/bodies/tile_step-inl.h"

namespace grucore::detail::GRUCORE_ISA {
namespace {

// Rows and products from which tiles pay: setting their shapes takes half as long as a step of 64 units, and tiles of
// few rows are mostly empty. Four rows are one load of weights in the other table. Measured on an Emerald Rapids.
constexpr uint32_t kRowsForTiles = 5;
constexpr uint64_t kProductsOfStep = 128 * 1024, kProductsOfMatrix = 512 * 1024;

// Inputs of more than one sum would need another set of sums for each.
GRUCORE_INLINE bool fits_tiles(const PackedWeights& weights) {
  return weights.kind == WeightKind::kInt8 && !weights.ends && weights.inputs <= kBlockInputs;
}
GRUCORE_INLINE bool takes_tiles(const ProductArgs& args, uint64_t least) {
  if (args.rows.count < kRowsForTiles) return false;
  const PackedWeights& weights = *args.weights;
  const uint64_t products = uint64_t{weights.gates} * weights.rows * weights.inputs * weights.taps * args.rows.count;
  return products >= least && fits_tiles(weights);
}
GRUCORE_INLINE bool takes_tiles(const ProductArgs& input, const ProductArgs& recurrent, uint64_t least) {
  return takes_tiles(recurrent, least) && (!input.weights || fits_tiles(*input.weights));
}

void integer_product(const ProductArgs& args) {
  if (!takes_tiles(args, kProductsOfMatrix)) return GRUCORE_FEW_ROWS::kIntegerKernels.product(args);
  quantize_for_tiles(args);
  multiply_in_tiles(args, 0, panels_of(args.weights->rows));
  release_tiles();
}

void integer_panel_step(const PanelStepArgs& args) {
  const PackedWeights *input = args.input.weights, *recurrent = args.recurrent.weights;
  if (!takes_tiles(args.input, args.recurrent, kProductsOfStep) ||
      (input && input->activation_bits != recurrent->activation_bits)) {
    return GRUCORE_FEW_ROWS::kIntegerKernels.panel_step(args);
  }
  if (input) quantize_for_tiles(args.input);
  quantize_for_tiles(args.recurrent);
  if (recurrent->activation_bits == 8) {
    step_in_tiles<8>(args);
  } else {
    step_in_tiles<16>(args);
  }
  release_tiles();
}

struct TilePanels {
  static constexpr uint32_t kPanels = 16;
  static GRUCORE_INLINE void run(const ProductArgs& args, uint32_t first, uint32_t panels, bool) {
    multiply_in_tiles(args, first / kPanel, first / kPanel + panels);
  }
};

void integer_gate_step(const GateStepArgs& args) {
  if (!takes_tiles(args.input, args.recurrent, kProductsOfMatrix))
    return GRUCORE_FEW_ROWS::kIntegerKernels.gate_step(args);
  if (args.input.weights) quantize_for_tiles(args.input);
  quantize_for_tiles(args.recurrent);
  step_gates<TilePanels>(args);
  release_tiles();
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
