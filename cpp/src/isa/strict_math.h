// Refuses compilers' licence to reorder float arithmetic: included by every file whose floats become outputs.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_ISA_STRICT_MATH_H_
#define GRUCORE_ISA_STRICT_MATH_H_

// -ffinite-math-only alone defines __FINITE_MATH_ONLY__; GCC names the others from release 12 on.
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0) ||         \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__) || \
    defined(_M_FP_FAST)
#error "grucore promises the same bits everywhere: compile its sources with -fno-fast-math (MSVC: /fp:precise)"
#endif
#if defined(__i386__) && !defined(__SSE2_MATH__)
#error "x87 rounds differently: compile with -msse2 -mfpmath=sse"
#endif

#endif  // GRUCORE_ISA_STRICT_MATH_H_
