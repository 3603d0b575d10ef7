// The `rvv` table: vectors of RISC-V.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/choose.h"
#include "kernels/kernel_table.h"
#include "kernels/tables/target_region.h"

#if GRUCORE_ON_riscv
#include <stdint.h>

#define GRUCORE_ISA rvv
#define GRUCORE_DOTS "kernels/bodies/dots_wide-inl.h"
#define GRUCORE_FUSED_STEP 1
#define GRUCORE_FUSED_INTEGER_STEP 0
#define GRUCORE_STEP_VECTORS 4
#define GRUCORE_TILE_ROWS 8

#include "kernels/vec/vec_rvv.h"

#include "kernels/vec/bytes_rvv.h"

#include "kernels/bodies/kernels-inl.h"
#include "kernels/bodies/table-inl.h"
#endif
