// The `sse41` table: SSE4.1.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/choose.h"
#include "kernels/kernel_table.h"
#include "kernels/tables/target_region.h"

#if GRUCORE_ON_x86
#include <immintrin.h>

#define GRUCORE_ISA sse41
#define GRUCORE_DOTS "kernels/bodies/dots_pairs-inl.h"
#define GRUCORE_FUSED_STEP 0
#define GRUCORE_FUSED_INTEGER_STEP 0
#define GRUCORE_STEP_VECTORS 4
#define GRUCORE_TILE_ROWS 4

GRUCORE_TARGET_BEGIN("sse4.1")
#include "kernels/vec/vec_sse41.h"

#include "kernels/vec/bytes_sse41.h"

#include "kernels/bodies/kernels-inl.h"
GRUCORE_TARGET_END
#include "kernels/bodies/table-inl.h"
#endif
