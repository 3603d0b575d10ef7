// The Vec API of `neon` as a test table.
// SPDX-License-Identifier: Apache-2.0
#include "vec_table.h"

#include "kernels/tables/target_region.h"

#if GRUCORE_TEST_NEON
#include <arm_neon.h>

#define GRUCORE_ISA neon
#include "kernels/vec/vec_neon.h"

#include "kernels/bodies/pairs-inl.h"

#include "kernels/bodies/activations-inl.h"
#include "kernels/bodies/functions-inl.h"

#include "vec_table-inl.h"
#endif
