// All kernels of one instruction set: those that it has itself. Included once per instruction set, inside its target
// region, after vec_*.h and bytes_*.h. A table that takes its float kernels from another one says so with
// GRUCORE_FLOAT_ISA, and with GRUCORE_INTEGER_ISA for its integer kernels.
// SPDX-License-Identifier: Apache-2.0

#if defined(GRUCORE_TEST_TABLE)
// A table of operations in place of the kernels, compiled as these are (cpp/tests/vec_tables).
#include "kernels/bodies/pairs-inl.h"

#include "kernels/bodies/activations-inl.h"
#include "kernels/bodies/functions-inl.h"

#include GRUCORE_TEST_TABLE
#else
#include "kernels/bodies/vectors-inl.h"

#if !defined(GRUCORE_FLOAT_ISA)
#include "kernels/bodies/sizes-inl.h"
#endif

#include "kernels/bodies/pairs-inl.h"

#include "kernels/bodies/activations-inl.h"
#include "kernels/bodies/functions-inl.h"

#include "kernels/bodies/apply-inl.h"

#include "kernels/bodies/cell-inl.h"
#if GRUCORE_FOURS
#include "kernels/bodies/fours_cells-inl.h"
#endif
#include "kernels/bodies/panel_steps-inl.h"
#if !defined(GRUCORE_FLOAT_ISA)
#include "kernels/bodies/float_kernels-inl.h"
#endif
#if !defined(GRUCORE_INTEGER_ISA) && !defined(GRUCORE_ONLY_FLOAT32)
#if defined(GRUCORE_INTEGER_BODIES)
#include GRUCORE_INTEGER_BODIES
#else
#include "kernels/bodies/integer_kernels-inl.h"
#endif
#endif
#endif
