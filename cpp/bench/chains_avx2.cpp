// SPDX-License-Identifier: Apache-2.0
#include "kernels/tables/avx2.cpp"  // what kernels are made of has no names outside

#include "chains.h"
#include "limits.h"

#if defined(GRUCORE_ISA)
GRUCORE_TARGET_BEGIN("avx2,fma,f16c")
#include "chains-inl.h"
GRUCORE_TARGET_END

grucore_bench::Chains grucore_bench::chains_avx2() { return grucore::detail::avx2::measure(); }
#endif
