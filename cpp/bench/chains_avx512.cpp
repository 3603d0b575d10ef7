// SPDX-License-Identifier: Apache-2.0
#include "kernels/tables/avx512.cpp"  // what kernels are made of has no names outside

#include "chains.h"
#include "limits.h"

#if defined(GRUCORE_ISA)
GRUCORE_TARGET_BEGIN("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")
#include "chains-inl.h"
GRUCORE_TARGET_END

grucore_bench::Chains grucore_bench::chains_avx512() { return grucore::detail::avx512::measure(); }
#endif
