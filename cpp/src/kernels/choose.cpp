// The choice of a kernel table.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/choose.h"

#include "isa/detect.h"
#include "kernels/kernel_table.h"

namespace grucore {
namespace detail {

#define GRUCORE_ISA_ROW(name, number, numerics) \
  namespace name {                              \
  extern const KernelTable kTable;              \
  }
#include "grucore/isa_list.inc"
#undef GRUCORE_ISA_ROW

const KernelTable* select_table(Isa isa, const CpuFeatures& features) {
  (void)features;  // firmware builds look at none
  switch (isa) {
    case Isa::scalar: return &scalar::kTable;
#if GRUCORE_HAVE_SCALAR_MULADD
    case Isa::scalar_muladd: return &scalar_muladd::kTable;
#endif
#if GRUCORE_HAVE_SSE41
    case Isa::sse41: return features.sse41 ? &sse41::kTable : nullptr;
#endif
#if GRUCORE_HAVE_AVX2
    case Isa::avx2: return features.avx2 ? &avx2::kTable : nullptr;
#endif
#if GRUCORE_HAVE_AVX512
    case Isa::avx512: return features.avx512 ? &avx512::kTable : nullptr;
#endif
#if GRUCORE_HAVE_AVXVNNI
    case Isa::avxvnni: return features.avxvnni ? &avxvnni::kTable : nullptr;
#endif
#if GRUCORE_HAVE_AVX512VNNI
    case Isa::avx512vnni: return features.avx512vnni ? &avx512vnni::kTable : nullptr;
#endif
#if GRUCORE_HAVE_NEON
    case Isa::neon: return features.neon ? &neon::kTable : nullptr;
#endif
#if GRUCORE_HAVE_NEONDOT
    case Isa::neondot: return features.neondot ? &neondot::kTable : nullptr;
#endif
    default: return nullptr;
  }
}

}  // namespace detail

const char* isa_name(Isa isa) {
  switch (isa) {
#define GRUCORE_ISA_ROW(name, number, numerics) \
  case Isa::name: return #name;
#include "grucore/isa_list.inc"
#undef GRUCORE_ISA_ROW
  }
  return "";
}

bool isa_supported(Isa isa) { return detail::select_table(isa, detail::detect_cpu()) != nullptr; }

Isa best_isa() {
  const detail::CpuFeatures features = detail::detect_cpu();
  Isa best = Isa::scalar;
#define GRUCORE_ISA_ROW(name, number, numerics) \
  if (detail::select_table(Isa::name, features) && Isa::name > best) best = Isa::name;
#include "grucore/isa_list.inc"
#undef GRUCORE_ISA_ROW
  return best;
}

}  // namespace grucore
