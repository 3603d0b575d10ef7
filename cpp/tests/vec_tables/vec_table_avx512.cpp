// The Vec API of `avx512` as a test table.
// SPDX-License-Identifier: Apache-2.0
#include "vec_table.h"

#include "kernels/tables/target_region.h"

#if GRUCORE_TEST_X86
#include <immintrin.h>

#define GRUCORE_ISA avx512
GRUCORE_TARGET_BEGIN("avx512f,avx512bw,avx512vl,avx512dq,fma,avx2,f16c")
#include "kernels/vec/vec_avx512.h"

#include "kernels/bodies/pairs-inl.h"

#include "kernels/bodies/activations-inl.h"
#include "kernels/bodies/functions-inl.h"

#include "vec_table-inl.h"
GRUCORE_TARGET_END
#endif
