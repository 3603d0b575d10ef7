// A build of one table without most of its parts.
// SPDX-License-Identifier: Apache-2.0
#define GRUCORE_ONLY_SCALAR
#define GRUCORE_WEIGHTS(use) use(kFloat32) use(kInt8)
#define GRUCORE_ACTIVATIONS(use) use(kSigmoid) use(kTanh)
#define GRUCORE_CELLS(use) use(kResetAfter)
#define GRUCORE_NO_LOOPS
#define GRUCORE_LAYER_LIST "parts/layers.inc"
