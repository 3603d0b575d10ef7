// The `avx512` table: AVX-512 F, BW, VL, DQ.
// SPDX-License-Identifier: Apache-2.0
#include "isa/tables.h"
#include "kernels/kernel_table.h"
#include "kernels/target_region.h"

#if GRUCORE_HAVE_AVX512
#include <immintrin.h>

#define GRUCORE_ISA avx512
#define GRUCORE_FLOAT_ISA avx512
#define GRUCORE_INTEGER_ISA avx512
#define GRUCORE_DOTS "kernels/dots_pairs-inl.h"
#define GRUCORE_NUMERICS Numerics::kFused
#define GRUCORE_FUSED_STEP 1
#define GRUCORE_FUSED_INTEGER_STEP 0
#define GRUCORE_STEP_VECTORS 4
#define GRUCORE_HAS_DOT 0
#define GRUCORE_BLOCK_ROWS 8

GRUCORE_TARGET_BEGIN("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")
#include "kernels/vec_avx512.h"

#include "kernels/bytes_avx512.h"
#include "kernels/strips-inl.h"

#include "kernels/float_kernels-inl.h"

#include "kernels/integer_kernels-inl.h"
GRUCORE_TARGET_END
#include "kernels/float_table-inl.h"
#include "kernels/integer_table-inl.h"
#include "kernels/table-inl.h"
#endif
