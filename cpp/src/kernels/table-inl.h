// The kernel table of one instruction set: constant data, written outside the target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {

extern const FloatKernels kFloatKernels;
const FloatKernels kFloatKernels = {
    matmul,  gru_step, product,  gather, cell_reset_after, cell_reset, cell_candidate,
    copy_in, copy_out, activate, binary, affine,           softmax,    layer_norm};

}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore

#define GRUCORE_FLOAT_ISA GRUCORE_ISA
#include "kernels/integer_table-inl.h"
