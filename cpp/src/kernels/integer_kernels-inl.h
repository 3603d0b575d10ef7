// All integer kernels of one instruction set but its dots. Included once per instruction set, inside its target
// region, after bytes_*.h; GRUCORE_DOTS names the file of its sums of products.
// SPDX-License-Identifier: Apache-2.0

#include "kernels/quantize-inl.h"

#include GRUCORE_DOTS

#include "kernels/integer_product-inl.h"
#include "kernels/integer_step-inl.h"
