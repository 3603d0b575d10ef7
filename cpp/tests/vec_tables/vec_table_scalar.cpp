// The Vec API of `scalar` as a test table.
// SPDX-License-Identifier: Apache-2.0
#include "vec_table.h"

#include "kernels/target_region.h"

#define GRUCORE_ISA scalar
#define GRUCORE_FUSED 1
#include "kernels/vec_scalar.h"

#include "kernels/pairs-inl.h"

#include "kernels/activations-inl.h"
#include "kernels/functions-inl.h"

#include "vec_table-inl.h"
