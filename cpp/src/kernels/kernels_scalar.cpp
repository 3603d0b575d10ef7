// The `scalar` table: plain C++, fused multiply-add (emulated exactly where the machine has none).
// SPDX-License-Identifier: Apache-2.0
#include "isa/tables.h"
#include "kernels/kernel_table.h"
#include "kernels/target_region.h"

#if GRUCORE_HAVE_SCALAR

#define GRUCORE_ISA scalar
#define GRUCORE_NUMERICS Numerics::kFused
#define GRUCORE_STEP_VECTORS 1
#define GRUCORE_BLOCK_ROWS 1
#define GRUCORE_FUSED 1

#include "kernels/vec_scalar.h"

#include "kernels/bytes_scalar.h"

#include "kernels/float_kernels-inl.h"

#include "kernels/quantize-inl.h"

#include "kernels/dots_four-inl.h"

#include "kernels/integer_product-inl.h"
#include "kernels/table-inl.h"
#endif
