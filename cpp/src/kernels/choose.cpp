// The choice of a kernel table.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/choose.h"

#include "isa/detect.h"
#include "kernels/kernel_table.h"

namespace grucore {
namespace detail {

#define GRUCORE_ISA_ROW(name, number, numerics, architecture, feature) \
  namespace name {                                                     \
  extern const KernelTable kTable;                                     \
  }
#include "grucore/isa_list.inc"
#undef GRUCORE_ISA_ROW

const KernelTable* select_table(Isa isa, const CpuFeatures& features) {
  switch (isa) {
#define GRUCORE_ISA_ROW(name, number, numerics, architecture, feature) \
  GRUCORE_WHERE(architecture, case Isa::name : return features.feature ? &name::kTable : nullptr;)
#include "grucore/isa_list.inc"
#undef GRUCORE_ISA_ROW
    default: return nullptr;
  }
}

}  // namespace detail

const char* isa_name(Isa isa) {
  switch (isa) {
#define GRUCORE_ISA_ROW(name, number, numerics, architecture, feature) \
  case Isa::name: return #name;
#include "grucore/isa_list.inc"
#undef GRUCORE_ISA_ROW
  }
  return "";
}

bool isa_supported(Isa isa) { return detail::select_table(isa, detail::detect_cpu()) != nullptr; }

Isa best_isa() {
  const detail::CpuFeatures features = detail::detect_cpu();
  // The emulation is never the best of the plain tables: it takes many times as long.
  constexpr bool kEmulates = !GRUCORE_HAS_FMA && GRUCORE_ON_muladd;
  Isa best = kEmulates ? Isa::scalar_muladd : Isa::scalar;
#define GRUCORE_ISA_ROW(name, number, numerics, architecture, feature)                                             \
  if (Isa::name > best && !(kEmulates && Isa::name == Isa::scalar) && detail::select_table(Isa::name, features)) { \
    best = Isa::name;                                                                                              \
  }
#include "grucore/isa_list.inc"
#undef GRUCORE_ISA_ROW
  return best;
}

}  // namespace grucore
