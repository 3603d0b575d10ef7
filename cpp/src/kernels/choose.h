// Which kernel tables this build has, and how one is chosen.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_KERNELS_CHOOSE_H_
#define GRUCORE_KERNELS_CHOOSE_H_

#include "grucore/grucore.h"
#include "kernels/parts.h"

// GRUCORE_ON_<architecture> says whether this build has the tables of an architecture (isa_list.inc). Firmware builds
// one table: GRUCORE_ONLY_SCALAR leaves out all but the plain one that is faster on the machine, or that of the fused
// class, emulated, with GRUCORE_EMULATE_FUSED.
#if !defined(GRUCORE_ONLY_SCALAR)
#define GRUCORE_ON_host 1
#define GRUCORE_ON_fused 1
#define GRUCORE_ON_muladd 1
#elif GRUCORE_HAS_FMA || defined(GRUCORE_EMULATE_FUSED)
#define GRUCORE_ON_host 0
#define GRUCORE_ON_fused 1
#define GRUCORE_ON_muladd 0
#else
#define GRUCORE_ON_host 0
#define GRUCORE_ON_fused 0
#define GRUCORE_ON_muladd 1
#endif
#if GRUCORE_ON_host && (defined(__x86_64__) || defined(_M_X64))
#define GRUCORE_ON_x86 1  // AVX-VNNI is in GCC 11, Clang 12 and Visual Studio 2019 16.9
#else
#define GRUCORE_ON_x86 0
#endif
#if GRUCORE_ON_x86 && defined(__linux__) && defined(__LP64__)
#define GRUCORE_ON_x86linux 1  // AMX, whose tiles a program asks its system for, each in its own way
#else
#define GRUCORE_ON_x86linux 0
#endif
#if GRUCORE_ON_host && (defined(__aarch64__) || defined(_M_ARM64))
#define GRUCORE_ON_arm64 1
#else
#define GRUCORE_ON_arm64 0
#endif

// A module with vectors does not load where there are none: a build has them, or it has not.
#if GRUCORE_ON_host && defined(__wasm_simd128__)
#define GRUCORE_ON_wasm 1
#else
#define GRUCORE_ON_wasm 0
#endif

// As a program is compiled: with vectors of RISC-V of 128 bits at least, or without.
#if GRUCORE_ON_host && defined(__riscv_v_min_vlen) && __riscv_v_min_vlen >= 128
#define GRUCORE_ON_riscv 1
#else
#define GRUCORE_ON_riscv 0
#endif

// Cortex-A7, A15, A17, and 64-bit cores in their 32-bit state.
#if GRUCORE_ON_host && GRUCORE_ARM32_NEON
#define GRUCORE_ON_arm32 1
#else
#define GRUCORE_ON_arm32 0
#endif

// GRUCORE_WHERE(architecture, code): the code, or nothing.
#define GRUCORE_WHERE_0(...)
#define GRUCORE_WHERE_1(...) __VA_ARGS__
#define GRUCORE_WHERE_OF(is_here) GRUCORE_WHERE_##is_here
#define GRUCORE_WHERE_CALL(is_here) GRUCORE_WHERE_OF(is_here)
#define GRUCORE_WHERE(architecture, ...) GRUCORE_WHERE_CALL(GRUCORE_ON_##architecture)(__VA_ARGS__)

namespace grucore {
namespace detail {

struct KernelTable;
struct CpuFeatures;

// The table of `isa`, or null where this build or a machine with these features lacks it. Pure.
const KernelTable* select_table(Isa isa, const CpuFeatures& features);

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_KERNELS_CHOOSE_H_
