// The `neondot` table: the float kernels of `neon`, integer products by SDOT.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/choose.h"
#include "kernels/kernel_table.h"
#include "kernels/tables/target_region.h"

#if GRUCORE_ON_arm64
#include <arm_neon.h>

#define GRUCORE_ISA neondot
#define GRUCORE_FLOAT_ISA neon
#define GRUCORE_DOTS "kernels/bodies/dots_four-inl.h"
#define GRUCORE_FUSED_INTEGER_STEP 1
#define GRUCORE_HAS_DOT 1

GRUCORE_TARGET_BEGIN("arch=armv8.2-a+dotprod")
#include "kernels/vec/vec_neon.h"

#include "kernels/vec/bytes_neon.h"

#include "kernels/bodies/kernels-inl.h"
GRUCORE_TARGET_END
#include "kernels/bodies/table-inl.h"
#endif
