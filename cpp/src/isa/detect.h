// The instructions that the machine and its operating system can run.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_ISA_DETECT_H_
#define GRUCORE_ISA_DETECT_H_

namespace grucore {
namespace detail {

struct CpuFeatures {
  bool always = true;
  bool sse41 = false;
  bool avx2 = false;    // with FMA and F16C, and the system saves the wide registers
  bool avx512 = false;  // F, BW, VL, DQ, and the system saves the wide registers
  bool avxvnni = false;
  bool avx512vnni = false;
  bool amxint8 = false;  // with avx512vnni, and the system gives this process tiles
  bool neon = false;
  bool neondot = false;
};

CpuFeatures detect_cpu();

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_ISA_DETECT_H_
