// The Vec API of `neon` as a test table.
// SPDX-License-Identifier: Apache-2.0
#include "vec_table.h"

#include "kernels/target_region.h"

#if GRUCORE_TEST_NEON
#include <arm_neon.h>

#define GRUCORE_ISA neon
#include "kernels/vec_neon.h"

#include "kernels/pairs-inl.h"

#include "kernels/activations-inl.h"
#include "kernels/functions-inl.h"

#include "vec_table-inl.h"
#endif
