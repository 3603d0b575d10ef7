// Which kernel tables this build has, and how one is chosen.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_KERNELS_CHOOSE_H_
#define GRUCORE_KERNELS_CHOOSE_H_

#include "grucore/grucore.h"

#if defined(__x86_64__) || defined(_M_X64)
#define GRUCORE_ARCH_X86 1
#else
#define GRUCORE_ARCH_X86 0
#endif
#if defined(__aarch64__) || defined(_M_ARM64)
#define GRUCORE_ARCH_ARM64 1
#else
#define GRUCORE_ARCH_ARM64 0
#endif

// Firmware builds one table: GRUCORE_ONLY_SCALAR leaves out all the others, GRUCORE_ONLY_FLOAT32 the products with
// weights of other kinds; files that have such weights are then refused.
#if defined(GRUCORE_ONLY_SCALAR)
#define GRUCORE_HAVE_SCALAR 1
#define GRUCORE_HAVE_SCALAR_MULADD 0
#define GRUCORE_HAVE_SSE41 0
#define GRUCORE_HAVE_AVX2 0
#define GRUCORE_HAVE_AVX512 0
#define GRUCORE_HAVE_NEON 0
#define GRUCORE_HAVE_AVXVNNI 0
#define GRUCORE_HAVE_AVX512VNNI 0
#define GRUCORE_HAVE_NEONDOT 0
#else
#define GRUCORE_HAVE_SCALAR 1
#define GRUCORE_HAVE_SCALAR_MULADD 1
#define GRUCORE_HAVE_SSE41 GRUCORE_ARCH_X86
#define GRUCORE_HAVE_AVX2 GRUCORE_ARCH_X86
#define GRUCORE_HAVE_AVX512 GRUCORE_ARCH_X86
#define GRUCORE_HAVE_NEON GRUCORE_ARCH_ARM64
// AVX-VNNI is in GCC 11, Clang 12 and Visual Studio 2019 16.9.
#define GRUCORE_HAVE_AVXVNNI GRUCORE_ARCH_X86
#define GRUCORE_HAVE_AVX512VNNI GRUCORE_ARCH_X86
#define GRUCORE_HAVE_NEONDOT GRUCORE_ARCH_ARM64
#endif

namespace grucore {
namespace detail {

struct KernelTable;
struct CpuFeatures;

// The table of `isa`, or null where this build or a machine with these features lacks it. Pure.
const KernelTable* select_table(Isa isa, const CpuFeatures& features);

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_KERNELS_CHOOSE_H_
