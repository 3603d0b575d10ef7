// The cell's parts as kernels of their own. Included once per instruction set, inside its target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

void gather(const GatherArgs& args) { for_each_row<GatherRow>(args, 0, panels_of(args.units)); }
void cell_reset(const CellArgs& args) { for_each_row<ResetRow>(args, 0, panels_of(args.units)); }
void cell_candidate(const CellArgs& args) { for_each_row<CandidateRow>(args, 0, panels_of(args.units)); }

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
