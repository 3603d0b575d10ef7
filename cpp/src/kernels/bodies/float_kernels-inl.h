// The float kernels of one instruction set, in the order in which they use each other. Included once per instruction
// set, inside its target region, after what they share with the integer kernels.
// SPDX-License-Identifier: Apache-2.0

#include "kernels/bodies/elementwise-inl.h"

#include "kernels/bodies/cell_kernels-inl.h"
#include "kernels/bodies/gates-inl.h"
#if GRUCORE_FUSED_STEP
#include "kernels/bodies/product-inl.h"

#include "kernels/bodies/gru-inl.h"
#include "kernels/bodies/gate_steps-inl.h"
#include "kernels/bodies/matmul-inl.h"
#endif
#include "kernels/bodies/features-inl.h"
#include "kernels/bodies/attention-inl.h"
#include "kernels/bodies/float_tile-inl.h"
#if GRUCORE_FOURS
#include "kernels/bodies/fours_float-inl.h"
#endif
#include "kernels/bodies/float_product-inl.h"
#include "kernels/bodies/rfft-inl.h"

#include "kernels/bodies/irfft-inl.h"
#include "kernels/bodies/rows-inl.h"
