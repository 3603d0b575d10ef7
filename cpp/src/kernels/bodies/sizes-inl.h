// How much float kernels work on at once. Included once per instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// Chosen by the number of registers and the latency of mul_add:
// GRUCORE_STEP_VECTORS vectors of each gate for a single row, GRUCORE_TILE_ROWS rows of one vector of
// each gate for several.
constexpr int kStepVectors = GRUCORE_STEP_VECTORS;
constexpr int kTileRows = GRUCORE_TILE_ROWS;
constexpr int kPanelVectors = static_cast<int>(kPanel) / kLanes;

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
