// The `sse41` table: SSE4.1.
// SPDX-License-Identifier: Apache-2.0
#include "isa/tables.h"
#include "kernels/kernel_table.h"
#include "kernels/target_region.h"

#if GRUCORE_HAVE_SSE41
#include <immintrin.h>

#define GRUCORE_ISA sse41
#define GRUCORE_FLOAT_ISA sse41
#define GRUCORE_INTEGER_ISA sse41
#define GRUCORE_DOTS "kernels/dots_pairs-inl.h"
#define GRUCORE_NUMERICS Numerics::kMulAdd
#define GRUCORE_FUSED_STEP 0
#define GRUCORE_FUSED_INTEGER_STEP 0
#define GRUCORE_STEP_VECTORS 4
#define GRUCORE_BLOCK_ROWS 4

GRUCORE_TARGET_BEGIN("sse4.1")
#include "kernels/vec_sse41.h"

#include "kernels/bytes_sse41.h"
#include "kernels/strips-inl.h"

#include "kernels/float_kernels-inl.h"

#include "kernels/integer_kernels-inl.h"
GRUCORE_TARGET_END
#include "kernels/float_table-inl.h"
#include "kernels/integer_table-inl.h"
#include "kernels/table-inl.h"
#endif
