// The Vec API of `scalar_muladd` as a test table.
// SPDX-License-Identifier: Apache-2.0
#include "vec_table.h"

#include "kernels/target_region.h"

#define GRUCORE_ISA scalar_muladd
#define GRUCORE_FUSED 0
#include "kernels/vec_scalar.h"

#include "kernels/pairs-inl.h"

#include "kernels/activations-inl.h"
#include "kernels/functions-inl.h"

#include "vec_table-inl.h"
