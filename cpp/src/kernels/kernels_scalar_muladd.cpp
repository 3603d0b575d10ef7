// The `scalar_muladd` table: plain C++, multiply then add: the twin of the muladd class.
// SPDX-License-Identifier: Apache-2.0
#include "isa/tables.h"
#include "kernels/kernel_table.h"
#include "kernels/target_region.h"

#if GRUCORE_HAVE_SCALAR_MULADD

#define GRUCORE_ISA scalar_muladd
#define GRUCORE_NUMERICS Numerics::kMulAdd
#define GRUCORE_STEP_VECTORS 1
#define GRUCORE_BLOCK_ROWS 1
#define GRUCORE_FUSED 0

#include "kernels/vec_scalar.h"

#include "kernels/bytes_scalar.h"

#include "kernels/float_kernels-inl.h"

#include "kernels/quantize-inl.h"

#include "kernels/dots_four-inl.h"

#include "kernels/integer_product-inl.h"
#include "kernels/table-inl.h"
#endif
