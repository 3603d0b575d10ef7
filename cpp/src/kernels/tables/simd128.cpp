// The `simd128` table: WebAssembly SIMD.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/choose.h"
#include "kernels/kernel_table.h"
#include "kernels/tables/target_region.h"

#if GRUCORE_ON_wasm
#include <wasm_simd128.h>

#define GRUCORE_ISA simd128
#define GRUCORE_DOTS "kernels/bodies/dots_halves-inl.h"
#define GRUCORE_FUSED_STEP 0
#define GRUCORE_FUSED_INTEGER_STEP 0
#define GRUCORE_STEP_VECTORS 4
#define GRUCORE_TILE_ROWS 4

#include "kernels/vec/vec_simd128.h"

#include "kernels/vec/bytes_simd128.h"

#include "kernels/bodies/kernels-inl.h"
#include "kernels/bodies/table-inl.h"
#endif
