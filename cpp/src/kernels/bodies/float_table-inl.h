// The float kernels of one instruction set, as a constant. Outside the target region.
// SPDX-License-Identifier: Apache-2.0

// Where speed matters less than size, float32 takes the way of the other weights.
#if GRUCORE_FUSED_STEP
#define GRUCORE_GRU_STEPS gru_steps
#define GRUCORE_MATMUL matmul
#else
#define GRUCORE_GRU_STEPS nullptr
#define GRUCORE_MATMUL nullptr
#endif

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {

extern const FloatKernels kFloatKernels;
const FloatKernels kFloatKernels = {GRUCORE_MATMUL, GRUCORE_GRU_STEPS, product,  panel_step, gather, cell_reset,
                                    cell_candidate, copy_in,           copy_out, activate,   binary, affine,
                                    softmax,        layer_norm};

}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
