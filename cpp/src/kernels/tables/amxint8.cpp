// The `amxint8` table: the float kernels of `avx512`, integer products of many rows by AMX, of few by `avx512vnni`.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/choose.h"
#include "kernels/kernel_table.h"
#include "kernels/tables/target_region.h"

#if GRUCORE_ON_x86linux
#include <immintrin.h>

#define GRUCORE_ISA amxint8
#define GRUCORE_FLOAT_ISA avx512
#define GRUCORE_FEW_ROWS avx512vnni
#define GRUCORE_HAS_DOT 1
#define GRUCORE_INTEGER_BODIES "kernels/bodies/tile_kernels-inl.h"

namespace grucore::detail::GRUCORE_FEW_ROWS {
extern const IntegerKernels kIntegerKernels __attribute__((visibility("hidden")));
}

GRUCORE_TARGET_BEGIN("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c,amx-tile,amx-int8")
#include "kernels/vec/vec_avx512.h"

#include "kernels/vec/bytes_avx512.h"
#include "kernels/vec/tiles_amx.h"

#include "kernels/bodies/kernels-inl.h"
GRUCORE_TARGET_END
#include "kernels/bodies/table-inl.h"
#endif
