// The Vec API of `sse41` as a test table.
// SPDX-License-Identifier: Apache-2.0
#include "vec_table.h"

#include "kernels/tables/target_region.h"

#if GRUCORE_TEST_X86
#include <immintrin.h>

#define GRUCORE_ISA sse41
GRUCORE_TARGET_BEGIN("sse4.1")
#include "kernels/vec/vec_sse41.h"

#include "kernels/bodies/pairs-inl.h"

#include "kernels/bodies/activations-inl.h"
#include "kernels/bodies/functions-inl.h"

#include "vec_table-inl.h"
GRUCORE_TARGET_END
#endif
