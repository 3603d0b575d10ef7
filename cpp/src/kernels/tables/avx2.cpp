// The `avx2` table: AVX2 with FMA.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/choose.h"
#include "kernels/kernel_table.h"
#include "kernels/tables/target_region.h"

#if GRUCORE_ON_x86
#include <immintrin.h>

#define GRUCORE_ISA avx2
#define GRUCORE_DOTS "kernels/bodies/dots_pairs-inl.h"
#define GRUCORE_FUSED_STEP 1
#define GRUCORE_STEP_VECTORS 4
#define GRUCORE_FUSED_INTEGER_STEP 1
#define GRUCORE_HAS_DOT 0
#define GRUCORE_TILE_ROWS 4

GRUCORE_TARGET_BEGIN("avx2,fma,f16c")
#include "kernels/vec/vec_avx2.h"

#include "kernels/vec/bytes_avx2.h"

#include "kernels/bodies/kernels-inl.h"
GRUCORE_TARGET_END
#include "kernels/bodies/table-inl.h"
#endif
