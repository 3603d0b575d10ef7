// The kernel table of one instruction set: constant data, written outside the target region.
// SPDX-License-Identifier: Apache-2.0

#if defined(GRUCORE_TEST_TABLE)
#elif defined(GRUCORE_ONLY_SCALAR)
namespace grucore {
namespace detail {

#define GRUCORE_FLOAT_KERNEL(result, name, parameters) result(*const FloatKernels::name) parameters = GRUCORE_ISA::name;
#define GRUCORE_FUSED_KERNEL(result, name, parameters)
#include "kernels/float_kernels.inc"
#undef GRUCORE_FUSED_KERNEL
#undef GRUCORE_FLOAT_KERNEL
#if defined(GRUCORE_ONLY_FLOAT32)  // the loader refuses what would need them
#define GRUCORE_INTEGER_KERNEL(name, parameters) void(*const IntegerKernels::name) parameters = nullptr;
#else
#define GRUCORE_INTEGER_KERNEL(name, parameters) \
  void(*const IntegerKernels::name) parameters = GRUCORE_ISA::integer_##name;
#endif
#include "kernels/integer_kernels.inc"
#undef GRUCORE_INTEGER_KERNEL

// Empty, since the kernels are static members; here so that the table's pointers are not null.
static constexpr FloatKernels kFloatKernels = {};
static constexpr IntegerKernels kIntegerKernels = {};

namespace GRUCORE_ISA {
extern const KernelTable kTable;
const KernelTable kTable = {Isa::GRUCORE_ISA, &kFloatKernels, &kIntegerKernels};
}  // namespace GRUCORE_ISA

}  // namespace detail
}  // namespace grucore
#else
namespace grucore {
namespace detail {

#if defined(GRUCORE_FLOAT_ISA)
namespace GRUCORE_FLOAT_ISA {
extern const FloatKernels kFloatKernels;
}
#else
#define GRUCORE_FLOAT_ISA GRUCORE_ISA
namespace GRUCORE_ISA {

#define GRUCORE_FLOAT_KERNEL(result, name, parameters) name,
#if GRUCORE_FUSED_STEP
#define GRUCORE_FUSED_KERNEL GRUCORE_FLOAT_KERNEL
#else  // where speed matters less than size, float32 takes the way of the other weights
#define GRUCORE_FUSED_KERNEL(result, name, parameters) nullptr,
#endif
extern const FloatKernels kFloatKernels;
const FloatKernels kFloatKernels = {
#include "kernels/float_kernels.inc"
};
#undef GRUCORE_FUSED_KERNEL
#undef GRUCORE_FLOAT_KERNEL

}  // namespace GRUCORE_ISA
#endif

#if defined(GRUCORE_INTEGER_ISA)
namespace GRUCORE_INTEGER_ISA {
extern const IntegerKernels kIntegerKernels;
}
#else
#define GRUCORE_INTEGER_ISA GRUCORE_ISA
namespace GRUCORE_ISA {

#if defined(GRUCORE_ONLY_FLOAT32)
#define GRUCORE_INTEGER_KERNEL(name, parameters) nullptr,
#else
#define GRUCORE_INTEGER_KERNEL(name, parameters) integer_##name,
#endif
extern const IntegerKernels kIntegerKernels;
const IntegerKernels kIntegerKernels = {
#include "kernels/integer_kernels.inc"
};
#undef GRUCORE_INTEGER_KERNEL

}  // namespace GRUCORE_ISA
#endif

namespace GRUCORE_ISA {
extern const KernelTable kTable;
const KernelTable kTable = {Isa::GRUCORE_ISA, &GRUCORE_FLOAT_ISA::kFloatKernels, &GRUCORE_INTEGER_ISA::kIntegerKernels};
}  // namespace GRUCORE_ISA

}  // namespace detail
}  // namespace grucore
#endif
