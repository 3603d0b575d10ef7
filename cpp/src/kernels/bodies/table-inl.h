// The kernel table of one instruction set: constant data, written outside the target region. It has the float
// kernels of GRUCORE_FLOAT_ISA and the integer kernels of GRUCORE_INTEGER_ISA, one of them its own.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {

namespace GRUCORE_FLOAT_ISA {
extern const FloatKernels kFloatKernels;
}
namespace GRUCORE_INTEGER_ISA {
extern const IntegerKernels kIntegerKernels;
}

namespace GRUCORE_ISA {
extern const KernelTable kTable;
const KernelTable kTable = {Isa::GRUCORE_ISA, GRUCORE_NUMERICS, &GRUCORE_FLOAT_ISA::kFloatKernels,
                            &GRUCORE_INTEGER_ISA::kIntegerKernels};
}  // namespace GRUCORE_ISA

}  // namespace detail
}  // namespace grucore
