// The `scalar_muladd` table: plain C++, multiply then add: the twin of the muladd class.
// SPDX-License-Identifier: Apache-2.0
#include "isa/tables.h"
#include "kernels/kernel_table.h"
#include "kernels/target_region.h"

#if GRUCORE_HAVE_SCALAR_MULADD

#define GRUCORE_ISA scalar_muladd
#define GRUCORE_NUMERICS Numerics::kMulAdd
#define GRUCORE_STEP_VECTORS 1
#define GRUCORE_BLOCK_ROWS 1
#define GRUCORE_FUSED 0

#include "kernels/vec_scalar.h"

#include "kernels/activations-inl.h"
#include "kernels/functions-inl.h"

#include "kernels/elementwise-inl.h"
#include "kernels/product-inl.h"

#include "kernels/matmul-inl.h"

#include "kernels/gru-inl.h"
#include "kernels/features-inl.h"
#include "kernels/rows-inl.h"
#include "kernels/table-inl.h"
#endif
