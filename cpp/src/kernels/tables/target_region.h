// Compiler switches for kernel files: a region compiled for one instruction set, unrolling, inlining.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_KERNELS_TABLES_TARGET_REGION_H_
#define GRUCORE_KERNELS_TABLES_TARGET_REGION_H_

#include "isa/strict_math.h"
#include "kernels/parts.h"

// Tests compile the tables once more, with a body of theirs in place of the kernels.
#if defined(GRUCORE_TEST_TABLE)
#include "vec_table.h"
#endif

#define GRUCORE_PRAGMA(text) _Pragma(#text)

// GRUCORE_TARGET_BEGIN("avx2,fma") ... GRUCORE_TARGET_END: every function between them is compiled for these features.
// Open it after all #includes but vec_*.h and *-inl.h, so that nothing shared with baseline code is compiled inside.
// The compiler defines no __AVX2__ and the like in a region: test GRUCORE_ISA's own macros, never the vendor's.
// MSVC knows no such region: its build gives /arch to the file.
#if defined(__clang__)
#define GRUCORE_TARGET_BEGIN(features) \
  GRUCORE_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define GRUCORE_TARGET_END GRUCORE_PRAGMA(clang attribute pop)
#define GRUCORE_UNROLL(n) GRUCORE_PRAGMA(unroll n)
#elif defined(__GNUC__)
#define GRUCORE_TARGET_BEGIN(features) GRUCORE_PRAGMA(GCC push_options) GRUCORE_PRAGMA(GCC target(features))
#define GRUCORE_TARGET_END GRUCORE_PRAGMA(GCC pop_options)
#define GRUCORE_UNROLL(n) GRUCORE_PRAGMA(GCC unroll n)
#else
#define GRUCORE_TARGET_BEGIN(features)
#define GRUCORE_TARGET_END
#define GRUCORE_UNROLL(n)
#endif

#if !defined(GRUCORE_ONLY_SCALAR)
#define GRUCORE_ONCE GRUCORE_INLINE
#endif

#if defined(GRUCORE_ONLY_SCALAR)
#define GRUCORE_INLINE inline  // firmware: a fifth of the flash that forced inlining takes
#define GRUCORE_NOINLINE
#define GRUCORE_ONCE GRUCORE_OUTLINE  // long, and called from many places: there once on firmware
#elif defined(__GNUC__) || defined(__clang__)
#define GRUCORE_INLINE inline __attribute__((always_inline))
#define GRUCORE_NOINLINE __attribute__((noinline))
#elif defined(_MSC_VER)
#define GRUCORE_INLINE __forceinline
#define GRUCORE_NOINLINE __declspec(noinline)
#else
#define GRUCORE_INLINE inline
#define GRUCORE_NOINLINE
#endif

// Never inlined, on firmware either: its frame would join the caller's on a small stack.
#if defined(__GNUC__) || defined(__clang__)
#define GRUCORE_OUTLINE inline __attribute__((noinline))
#else
#define GRUCORE_OUTLINE inline
#endif

#endif  // GRUCORE_KERNELS_TABLES_TARGET_REGION_H_
