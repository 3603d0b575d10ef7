// The `scalar` table: plain C++, fused multiply-add (emulated exactly where the machine has none).
// SPDX-License-Identifier: Apache-2.0
#define GRUCORE_PLAIN
#include "kernels/choose.h"
#include "kernels/kernel_table.h"
#include "kernels/tables/target_region.h"

#if GRUCORE_ON_fused

#define GRUCORE_ISA scalar
#define GRUCORE_DOTS "kernels/bodies/dots_whole-inl.h"
#define GRUCORE_FUSED_STEP 0
#define GRUCORE_FUSED_INTEGER_STEP 0
#define GRUCORE_STEP_VECTORS 1
#define GRUCORE_TILE_ROWS 1
#define GRUCORE_FLOAT_VECTORS 12
#define GRUCORE_FUSED 1
#define GRUCORE_FOURS GRUCORE_PLAIN_FOURS

#include "kernels/vec/vec_scalar.h"

#if GRUCORE_HELIUM
#include "kernels/vec/helium.h"
#elif GRUCORE_FOURS
#include "kernels/vec/arm32.h"
#endif

#include "kernels/vec/bytes_scalar.h"

#include "kernels/bodies/kernels-inl.h"
#include "kernels/bodies/table-inl.h"
#endif
