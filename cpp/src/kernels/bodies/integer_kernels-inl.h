// All integer kernels of one instruction set but its dots. Included once per instruction set, inside its target
// region, after bytes_*.h; GRUCORE_DOTS names the file of its sums of products.
// SPDX-License-Identifier: Apache-2.0

#include GRUCORE_DOTS

#include "kernels/bodies/quantize-inl.h"

#if defined(GRUCORE_PLAIN)
#include "kernels/bodies/plain_panels-inl.h"
#endif
#include "kernels/bodies/integer_tiles-inl.h"

#if GRUCORE_HAS_BLOCKS
#include "kernels/bodies/blocks-inl.h"
#endif
#include "kernels/bodies/integer_product-inl.h"
#include "kernels/bodies/integer_step-inl.h"
