// The `avx512` table: AVX-512 F, BW, VL, DQ.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/choose.h"
#include "kernels/kernel_table.h"
#include "kernels/tables/target_region.h"

#if GRUCORE_ON_x86
#include <immintrin.h>

#define GRUCORE_ISA avx512
#define GRUCORE_DOTS "kernels/bodies/dots_pairs-inl.h"
#define GRUCORE_FUSED_STEP 1
#define GRUCORE_FUSED_INTEGER_STEP 0
#define GRUCORE_STEP_VECTORS 4
#define GRUCORE_HAS_DOT 0
#define GRUCORE_TILE_ROWS 8

GRUCORE_TARGET_BEGIN("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")
#include "kernels/vec/vec_avx512.h"

#include "kernels/vec/bytes_avx512.h"

#include "kernels/bodies/kernels-inl.h"
GRUCORE_TARGET_END
#include "kernels/bodies/table-inl.h"
#endif
