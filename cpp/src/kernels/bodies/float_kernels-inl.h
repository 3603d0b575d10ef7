// All float kernels of one instruction set, in the order in which they use each other. Included once per
// instruction set, inside its target region, after vec_*.h.
// SPDX-License-Identifier: Apache-2.0

#include "kernels/bodies/sizes-inl.h"

#include "kernels/bodies/pairs-inl.h"

#include "kernels/bodies/activations-inl.h"
#include "kernels/bodies/functions-inl.h"

#include "kernels/bodies/apply-inl.h"

#include "kernels/bodies/elementwise-inl.h"
#include "kernels/bodies/cell-inl.h"

#include "kernels/bodies/cell_kernels-inl.h"
#if GRUCORE_FUSED_STEP
#include "kernels/bodies/product-inl.h"

#include "kernels/bodies/gru-inl.h"
#include "kernels/bodies/matmul-inl.h"
#endif
#include "kernels/bodies/features-inl.h"
#include "kernels/bodies/float_product-inl.h"
#include "kernels/bodies/rows-inl.h"
