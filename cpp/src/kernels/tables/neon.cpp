// The `neon` table: NEON of AArch64.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/choose.h"
#include "kernels/kernel_table.h"
#include "kernels/tables/target_region.h"

#if GRUCORE_ON_arm64
#include <arm_neon.h>

#define GRUCORE_ISA neon
#define GRUCORE_DOTS "kernels/bodies/dots_four-inl.h"
#define GRUCORE_FUSED_STEP 1
#define GRUCORE_STEP_VECTORS 4
#define GRUCORE_FUSED_INTEGER_STEP 1
#define GRUCORE_HAS_DOT 0
#define GRUCORE_TILE_ROWS 8

#include "kernels/vec/vec_neon.h"

#include "kernels/vec/bytes_neon.h"

#include "kernels/bodies/kernels-inl.h"
#include "kernels/bodies/table-inl.h"
#endif
