// The float kernels of one instruction set, as a constant. Outside the target region.
// SPDX-License-Identifier: Apache-2.0

#if GRUCORE_FUSED_STEP
#define GRUCORE_GRU_STEP gru_step
#else
#define GRUCORE_GRU_STEP nullptr
#endif

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {

extern const FloatKernels kFloatKernels;
const FloatKernels kFloatKernels = {matmul,  GRUCORE_GRU_STEP, product,  panel_step, gather, cell_reset, cell_candidate,
                                    copy_in, copy_out,         activate, binary,     affine, softmax,    layer_norm};

}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
