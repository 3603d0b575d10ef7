// The Vec API of `scalar` as a test table.
// SPDX-License-Identifier: Apache-2.0
#include "vec_table.h"

#include "kernels/tables/target_region.h"

#define GRUCORE_ISA scalar
#define GRUCORE_FUSED 1
#include "kernels/vec/vec_scalar.h"

#include "kernels/bodies/pairs-inl.h"

#include "kernels/bodies/activations-inl.h"
#include "kernels/bodies/functions-inl.h"

#include "vec_table-inl.h"
