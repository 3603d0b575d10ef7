// The `neon32` table: NEON of 32-bit Arm, beside plain C++ where that has the denormals.
// SPDX-License-Identifier: Apache-2.0
#define GRUCORE_PLAIN
#include "kernels/choose.h"
#include "kernels/kernel_table.h"
#include "kernels/tables/target_region.h"

#if GRUCORE_ON_arm32

#define GRUCORE_ISA neon32
#define GRUCORE_DOTS "kernels/bodies/dots_whole-inl.h"
#define GRUCORE_FUSED_STEP 0
#define GRUCORE_FUSED_INTEGER_STEP 0
#define GRUCORE_STEP_VECTORS 1
#define GRUCORE_TILE_ROWS 1
#define GRUCORE_FLOAT_VECTORS 12
#define GRUCORE_FUSED 1
#define GRUCORE_FOURS 1

#include "kernels/vec/vec_scalar.h"

#include "kernels/vec/arm32.h"

#include "kernels/vec/bytes_scalar.h"

#include "kernels/bodies/kernels-inl.h"
#include "kernels/bodies/table-inl.h"
#endif
