// The `scalar_muladd` table: plain C++, multiply then add: the twin of the muladd class.
// SPDX-License-Identifier: Apache-2.0
#define GRUCORE_PLAIN
#include "kernels/choose.h"
#include "kernels/kernel_table.h"
#include "kernels/tables/target_region.h"

#if GRUCORE_ON_host

#define GRUCORE_ISA scalar_muladd
#define GRUCORE_INTEGER_ISA scalar
#define GRUCORE_FUSED_STEP 0
#define GRUCORE_STEP_VECTORS 1
#define GRUCORE_BLOCK_ROWS 1
#define GRUCORE_FLOAT_VECTORS 12
#define GRUCORE_FUSED 0

#include "kernels/vec/vec_scalar.h"

#include "kernels/bodies/kernels-inl.h"
#include "kernels/bodies/table-inl.h"
#endif
