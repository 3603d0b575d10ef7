// The `sse41` table: SSE4.1.
// SPDX-License-Identifier: Apache-2.0
#include "isa/tables.h"
#include "kernels/kernel_table.h"
#include "kernels/target_region.h"

#if GRUCORE_HAVE_SSE41
#include <immintrin.h>

#define GRUCORE_ISA sse41
#define GRUCORE_NUMERICS Numerics::kMulAdd
#define GRUCORE_STEP_VECTORS 4
#define GRUCORE_BLOCK_ROWS 4

GRUCORE_TARGET_BEGIN("sse4.1")
#include "kernels/vec_sse41.h"

#include "kernels/activations-inl.h"
#include "kernels/functions-inl.h"

#include "kernels/elementwise-inl.h"
#include "kernels/product-inl.h"

#include "kernels/matmul-inl.h"

#include "kernels/gru-inl.h"
#include "kernels/features-inl.h"
#include "kernels/rows-inl.h"
GRUCORE_TARGET_END
#include "kernels/table-inl.h"
#endif
