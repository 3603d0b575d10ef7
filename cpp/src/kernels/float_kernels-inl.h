// All float kernels of one instruction set, in the order in which they use each other. Included once per
// instruction set, inside its target region, after vec_*.h.
// SPDX-License-Identifier: Apache-2.0

#include "kernels/sizes-inl.h"

#include "kernels/pairs-inl.h"

#include "kernels/activations-inl.h"
#include "kernels/functions-inl.h"

#include "kernels/apply-inl.h"

#include "kernels/elementwise-inl.h"
#include "kernels/cell-inl.h"

#include "kernels/cell_kernels-inl.h"
#if GRUCORE_FUSED_STEP
#include "kernels/product-inl.h"

#include "kernels/gru-inl.h"
#include "kernels/matmul-inl.h"
#endif
#include "kernels/features-inl.h"
#include "kernels/float_product-inl.h"
#include "kernels/rows-inl.h"
