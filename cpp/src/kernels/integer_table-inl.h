// The integer kernels of one instruction set, and its table with the float kernels of GRUCORE_FLOAT_ISA.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_FLOAT_ISA {
extern const FloatKernels kFloatKernels;
}
namespace GRUCORE_ISA {

extern const KernelTable kTable;
namespace {
constexpr IntegerKernels kIntegerKernels = {quantize, integer_product};
}
const KernelTable kTable = {Isa::GRUCORE_ISA, GRUCORE_NUMERICS, &GRUCORE_FLOAT_ISA::kFloatKernels, &kIntegerKernels};

}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
