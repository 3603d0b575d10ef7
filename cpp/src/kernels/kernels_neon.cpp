// The `neon` table: NEON of AArch64.
// SPDX-License-Identifier: Apache-2.0
#include "isa/tables.h"
#include "kernels/kernel_table.h"
#include "kernels/target_region.h"

#if GRUCORE_HAVE_NEON
#include <arm_neon.h>

#define GRUCORE_ISA neon
#define GRUCORE_NUMERICS Numerics::kFused
#define GRUCORE_STEP_VECTORS 4
#define GRUCORE_BLOCK_ROWS 8

#include "kernels/vec_neon.h"

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
