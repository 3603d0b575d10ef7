// y = bias + weights * x, or y += weights * x, for float32 and float16 weights. Included once per instruction set,
// inside its target region.
//
// A panel's gates lie side by side along k, so that a panel of G gates and w rows is one of G * w rows. Each sum is
// the bias or the chain that stands in y, continued with one multiply-add for each input, ascending (docs/numerics.md).
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// Some lanes of some panels, for all rows.
template <class Weight, int kPanels, int kVectors, int kLast>
GRUCORE_NOINLINE void float_rows(const ProductArgs& args, uint32_t row, uint32_t lane, int lanes) {
  constexpr int kRows = kPanels > 1 || kTileRows * kVectors > 24 ? 1 : kTileRows;
  uint32_t i = 0;
  const uint32_t count = args.rows.count;
  // A tile half full takes no more time than its rows alone.
  for (; kRows > 1 && i < count && (count - i) * 2 >= static_cast<uint32_t>(kRows); i += kRows) {
    float_tile<Weight, kPanels, kVectors, kLast, kRows>(args, row, lane, lanes, i);
  }
  for (; i < count; ++i) float_tile<Weight, kPanels, kVectors, kLast, 1>(args, row, lane, lanes, i);
}

// One panel.
template <class Weight>
GRUCORE_OUTLINE void float_panel(const ProductArgs& args, uint32_t row) {
#if GRUCORE_FOURS
  if constexpr (kHasFourWeights<Weight>) return panel_in_fours<Weight>(args, row);
#endif
  constexpr uint32_t kWide = kFloatVectors * kLanes, kFew = kFewVectors * kLanes;
  const uint32_t rows = panel_width(args.weights->rows, row) * args.weights->gates;
  uint32_t lane = 0;
  for (; rows - lane >= kWide; lane += kWide) float_rows<Weight, 1, kFloatVectors, kLanes>(args, row, lane, kLanes);
  while (kWide > 4 && lane < rows) {
    const uint32_t lanes = rows - lane < kFew ? rows - lane : kFew;
    if constexpr (kHasMasks || kLanes <= 4) {
      float_rows<Weight, 1, kFewVectors, kHasMasks ? kAnyLanes : kLanes>(args, row, lane, static_cast<int>(lanes));
    } else if (lanes == kFew) {
      float_rows<Weight, 1, 1, kLanes>(args, row, lane, kLanes);
    } else {
      float_rows<Weight, 1, 1, 4>(args, row, lane, 4);
    }
    lane += lanes;
  }
}

// Several panels at once for a few rows, since a chain waits for itself.
template <class Weight>
struct FloatPanels {
  static constexpr uint32_t kPanels = kStepVectors > 1 ? 4 : 1;

  static GRUCORE_INLINE void run(const ProductArgs& args, uint32_t row, uint32_t panels) {
    constexpr int kAtOnce = static_cast<int>(kPanels);
    const uint32_t whole = kPanel * args.weights->gates;
    const bool are_whole = panels == kPanels && args.weights->rows - row >= kPanels * kPanel;
    if (kPanels > 1 && are_whole && args.rows.count < static_cast<uint32_t>(kTileRows)) {
      uint32_t lane = 0;
      if (whole % (kFloatVectors * kLanes) == 0) {
        for (; lane < whole; lane += kFloatVectors * kLanes) {
          float_rows<Weight, kAtOnce, kFloatVectors, kLanes>(args, row, lane, kLanes);
        }
      } else {
        for (; lane < whole; lane += kLanes) float_rows<Weight, kAtOnce, 1, kLanes>(args, row, lane, kLanes);
      }
      return;
    }
    for (uint32_t i = 0; i < panels; ++i) float_panel<Weight>(args, row + i * kPanel);
  }
};

struct AnyFloatPanels {
  static constexpr uint32_t kPanels = FloatPanels<float>::kPanels;
  static GRUCORE_NOINLINE void run(const ProductArgs& args, uint32_t row, uint32_t panels, bool) {
    run_kind(args, row, panels, args.weights->kind);
  }

 private:
  // A template, so that kinds which this build has not are not compiled.
  template <class Kind>
  static GRUCORE_INLINE void run_kind(const ProductArgs& args, uint32_t row, uint32_t panels, Kind kind) {
    if constexpr (has_weights(Kind::kFloat16)) {
      if (!has_weights(Kind::kFloat32) || kind == Kind::kFloat16) return FloatPanels<uint16_t>::run(args, row, panels);
    }
    if constexpr (has_weights(Kind::kFloat32)) FloatPanels<float>::run(args, row, panels);
  }
};

void product(const ProductArgs& args) { multiply_panels<AnyFloatPanels>(args); }
void panel_step(const PanelStepArgs& args) { step_panels<AnyFloatPanels>(args); }
void gate_step(const GateStepArgs& args) { step_gates<AnyFloatPanels>(args); }

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
