// The `avxvnni` table: the float kernels of `avx2`, integer products by AVX-VNNI.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/choose.h"
#include "kernels/kernel_table.h"
#include "kernels/tables/target_region.h"

#if GRUCORE_ON_x86
#include <immintrin.h>

#define GRUCORE_ISA avxvnni
#define GRUCORE_FLOAT_ISA avx2
#define GRUCORE_DOTS "kernels/bodies/dots_four-inl.h"
#define GRUCORE_FUSED_INTEGER_STEP 1
#define GRUCORE_HAS_DOT 1

GRUCORE_TARGET_BEGIN("avx2,fma,f16c,avxvnni")
#include "kernels/vec/vec_avx2.h"

#include "kernels/vec/bytes_avx2.h"

#include "kernels/bodies/kernels-inl.h"
GRUCORE_TARGET_END
#include "kernels/bodies/table-inl.h"
#endif
