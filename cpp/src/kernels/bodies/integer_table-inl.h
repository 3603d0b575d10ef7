// The integer kernels of one instruction set, as a constant. Outside the target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {

extern const IntegerKernels kIntegerKernels;
#if defined(GRUCORE_ONLY_FLOAT32)
const IntegerKernels kIntegerKernels = {nullptr, nullptr};  // the loader refuses what would need them
#else
const IntegerKernels kIntegerKernels = {integer_product, integer_panel_step};
#endif

}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
