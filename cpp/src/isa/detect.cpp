// CPU detection by CPUID and XGETBV. Not by __builtin_cpu_supports: some tool chains ship a stub of it
// that answers "no" to everything.
// SPDX-License-Identifier: Apache-2.0
#include "isa/detect.h"

#include <stdint.h>

#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64) || defined(_M_IX86)
#define GRUCORE_X86 1
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#elif defined(GRUCORE_ONLY_SCALAR)  // firmware has no C library to ask
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace grucore {
namespace detail {

#if defined(GRUCORE_X86)

namespace {

struct Registers {
  uint32_t eax, ebx, ecx, edx;
};

Registers cpuid(uint32_t leaf, uint32_t subleaf) {
  Registers r = {0, 0, 0, 0};
#if defined(_MSC_VER)
  int out[4];
  __cpuidex(out, static_cast<int>(leaf), static_cast<int>(subleaf));
  r = {static_cast<uint32_t>(out[0]), static_cast<uint32_t>(out[1]), static_cast<uint32_t>(out[2]),
       static_cast<uint32_t>(out[3])};
#else
  __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
#endif
  return r;
}

uint32_t saved_state_mask() {  // XCR0: which registers the operating system saves
#if defined(_MSC_VER)
  return static_cast<uint32_t>(_xgetbv(0));
#else
  uint32_t eax, edx;
  __asm__ volatile(".byte 0x0f, 0x01, 0xd0" : "=a"(eax), "=d"(edx) : "c"(0));
  return eax;
#endif
}

constexpr bool has(uint32_t word, int bit) { return (word >> bit & 1u) != 0; }

constexpr uint32_t kSavesYmm = 0x06;
constexpr uint32_t kSavesZmm = 0xe6;
constexpr uint32_t kSavesTiles = 0x60000;

// Linux saves tiles for processes that have asked for it; one that has is told yes again. Not through the C library,
// whose `syscall` the engine would be linked with.
bool may_use_tiles() {
#if defined(__linux__) && defined(__LP64__)
  constexpr long kArchPrctl = 158, kRequestPermission = 0x1023, kTileData = 18;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(kArchPrctl), "D"(kRequestPermission), "S"(kTileData)
                   : "rcx", "r11", "memory");
  return result == 0;
#else
  return false;
#endif
}

}  // namespace

CpuFeatures detect_cpu() {
  CpuFeatures features;
  const uint32_t highest_leaf = cpuid(0, 0).eax;
  if (highest_leaf < 1) return features;
  const Registers one = cpuid(1, 0);
  features.sse41 = has(one.ecx, 19);
  const bool os_saves = has(one.ecx, 27);
  if (!os_saves || highest_leaf < 7) return features;
  const uint32_t saved = saved_state_mask();
  const Registers seven = cpuid(7, 0);
  const bool avx = has(one.ecx, 28), fma = has(one.ecx, 12), f16c = has(one.ecx, 29);
  features.avx2 = (saved & kSavesYmm) == kSavesYmm && avx && fma && f16c && has(seven.ebx, 5);
#if !defined(__APPLE__)  // Darwin enables the AVX-512 state lazily, so XCR0 cannot be trusted there
  features.avx512 = features.avx2 && (saved & kSavesZmm) == kSavesZmm && has(seven.ebx, 16) && has(seven.ebx, 17) &&
                    has(seven.ebx, 30) && has(seven.ebx, 31);
  features.avx512vnni = features.avx512 && has(seven.ecx, 11);
  const bool has_tiles = (saved & kSavesTiles) == kSavesTiles && has(seven.edx, 24) && has(seven.edx, 25);
  features.amxint8 = features.avx512vnni && has_tiles && may_use_tiles();
#endif
  const uint32_t highest_subleaf = seven.eax;
  features.avxvnni = features.avx2 && highest_subleaf >= 1 && has(cpuid(7, 1).eax, 4);
  return features;
}

#else

namespace {

bool has_dot_product() {
#if defined(GRUCORE_ONLY_SCALAR)
  return false;
#elif defined(__aarch64__) && defined(__linux__)
  constexpr unsigned long kHwcap = 16, kDotProduct = 1ul << 20;
  return (getauxval(kHwcap) & kDotProduct) != 0;
#elif defined(__aarch64__) && defined(__APPLE__)
  int found = 0;
  size_t bytes = sizeof found;
  return sysctlbyname("hw.optional.arm.FEAT_DotProd", &found, &bytes, nullptr, 0) == 0 && found != 0;
#else
  return false;
#endif
}

}  // namespace

CpuFeatures detect_cpu() {
  CpuFeatures features;
#if defined(__aarch64__) || defined(_M_ARM64)
  features.neon = true;  // part of the architecture
#endif
  features.neondot = has_dot_product();
  return features;
}

#endif

}  // namespace detail
}  // namespace grucore
