// Which parts of the kernels this build has. All of them, unless firmware says otherwise, with flags or in the header
// that GRUCORE_CONFIG names:
//
//   GRUCORE_ONLY_SCALAR          one table, in plain C++
//   GRUCORE_EMULATE_FUSED        where the machine has no fused multiply-add: emulate it, for the bits of those that do
//   GRUCORE_WEIGHTS(use)         kinds of weights: use(kFloat32) use(kInt8)
//   GRUCORE_ONLY_FLOAT32         short for the first of them alone
//   GRUCORE_ACTIVATIONS(use)     use(kSigmoid) use(kTanh), for cells and layers; kLinear is always there
//   GRUCORE_CELLS(use)           cells of the GRU: use(kResetAfter) use(kResetBefore)
//   GRUCORE_NO_LOOPS             no layer reads what it or a later one writes: no feedback through a delay
//   GRUCORE_LAYER_LIST           a file in place of layers/layer_list.inc
//
// The loader refuses files that need what is not there.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_KERNELS_PARTS_H_
#define GRUCORE_KERNELS_PARTS_H_

#include <stdint.h>

#if defined(GRUCORE_CONFIG)
#include GRUCORE_CONFIG
#endif

// 1 where a fused multiply-add is an instruction. Where it is not, it takes some 14 times as long as a
// multiplication and an addition.
#if defined(__FP_FAST_FMAF) || defined(__ARM_FEATURE_FMA)
#define GRUCORE_HAS_FMA 1
#else
#define GRUCORE_HAS_FMA 0
#endif

// 1 where the plain table of firmware has Helium, with floats (vec/helium.h).
#if defined(GRUCORE_ONLY_SCALAR) && defined(__ARM_FEATURE_MVE) && defined(__GNUC__) && GRUCORE_HAS_FMA
#define GRUCORE_HELIUM ((__ARM_FEATURE_MVE & 2) != 0)
#else
#define GRUCORE_HELIUM 0
#endif

// 1 where 32-bit Arm has NEON with fused multiply-adds (vec/arm32.h).
#if defined(__arm__) && defined(__ARM_NEON) && defined(__GNUC__) && GRUCORE_HAS_FMA
#define GRUCORE_ARM32_NEON 1
#else
#define GRUCORE_ARM32_NEON 0
#endif

// 1 where the plain table of firmware has vectors of four floats: one of those two.
#if defined(GRUCORE_ONLY_SCALAR)
#define GRUCORE_PLAIN_FOURS (GRUCORE_HELIUM || GRUCORE_ARM32_NEON)
#else
#define GRUCORE_PLAIN_FOURS 0
#endif

#if !defined(GRUCORE_WEIGHTS)
#if defined(GRUCORE_ONLY_FLOAT32)
#define GRUCORE_WEIGHTS(use) use(kFloat32)
#else
#define GRUCORE_WEIGHTS(use) use(kFloat32) use(kFloat16) use(kInt8) use(kInt4)
#endif
#endif

#if !defined(GRUCORE_CELLS)
#define GRUCORE_CELLS(use) use(kResetAfter) use(kResetBefore)
#endif

namespace grucore {
namespace detail {

// Codes of docs/format.md.
enum class ActivationCode : uint32_t {
#define GRUCORE_ACTIVATION(enumerator, code, name, parameters) enumerator = code,
#include "kernels/activations.inc"
#undef GRUCORE_ACTIVATION
};
enum class WeightKind : uint32_t { kFloat32 = 0, kFloat16 = 1, kInt8 = 2, kInt4 = 3 };
enum class GruCellKind : uint32_t { kResetAfter = 0, kResetBefore = 1 };

// static: kernel files must not share functions, not even these.
#define GRUCORE_BIT(name) | 1u << static_cast<uint32_t>(Code::name)
static constexpr bool has_weights(WeightKind kind) {
  using Code = WeightKind;
  return (0u GRUCORE_WEIGHTS(GRUCORE_BIT)) >> static_cast<uint32_t>(kind) & 1u;
}
static constexpr bool has_activation(ActivationCode code) {
#if defined(GRUCORE_ACTIVATIONS)
  using Code = ActivationCode;
  return code == Code::kLinear || ((0u GRUCORE_ACTIVATIONS(GRUCORE_BIT)) >> static_cast<uint32_t>(code) & 1u);
#else
  return (void)code, true;
#endif
}
static constexpr bool has_cell(GruCellKind cell) {
  using Code = GruCellKind;
  return (0u GRUCORE_CELLS(GRUCORE_BIT)) >> static_cast<uint32_t>(cell) & 1u;
}
#undef GRUCORE_BIT
// Blocks of weights in place of whole matrices: not in firmware, whose images they would widen.
#if defined(GRUCORE_ONLY_SCALAR)
#define GRUCORE_HAS_BLOCKS 0
#else
#define GRUCORE_HAS_BLOCKS 1
#endif
static constexpr bool kHasBlocks = GRUCORE_HAS_BLOCKS;
#if defined(GRUCORE_NO_LOOPS)
static constexpr bool kHasLoops = false;
#else
static constexpr bool kHasLoops = true;
#endif

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_KERNELS_PARTS_H_
