// The kernel table of one instruction set: constant data, written outside the target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {

extern const KernelTable kTable;
const KernelTable kTable = {Isa::GRUCORE_ISA, GRUCORE_NUMERICS, matmul, gru_step, copy_in,   copy_out,
                            activate,         binary,           affine, softmax,  layer_norm};

}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
