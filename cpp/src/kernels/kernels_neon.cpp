// The `neon` table: NEON of AArch64.
// SPDX-License-Identifier: Apache-2.0
#include "isa/tables.h"
#include "kernels/kernel_table.h"
#include "kernels/target_region.h"

#if GRUCORE_HAVE_NEON
#include <arm_neon.h>

#define GRUCORE_ISA neon
#define GRUCORE_FLOAT_ISA neon
#define GRUCORE_INTEGER_ISA neon
#define GRUCORE_DOTS "kernels/dots_four-inl.h"
#define GRUCORE_NUMERICS Numerics::kFused
#define GRUCORE_FUSED_STEP 1
#define GRUCORE_STEP_VECTORS 4
#define GRUCORE_FUSED_INTEGER_STEP 1
#define GRUCORE_HAS_DOT 0
#define GRUCORE_BLOCK_ROWS 8

#include "kernels/vec_neon.h"

#include "kernels/bytes_neon.h"
#include "kernels/strips-inl.h"

#include "kernels/float_kernels-inl.h"

#include "kernels/integer_kernels-inl.h"
#include "kernels/float_table-inl.h"
#include "kernels/integer_table-inl.h"
#include "kernels/table-inl.h"
#endif
