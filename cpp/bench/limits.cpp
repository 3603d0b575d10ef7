// Pure reading and pure multiplying, once per register width.
// SPDX-License-Identifier: Apache-2.0
#include "limits.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace grucore_bench {

namespace {

// Enough independent chains to hide the latency of a multiply-add (4 cycles, 2 a cycle) with room to spare.
constexpr int kChains = 12;

[[maybe_unused]] constexpr size_t kSums = 8;

uint32_t read_words(const void* from, size_t bytes) {
  const uint64_t* words = static_cast<const uint64_t*>(from);
  uint64_t sums[8] = {};
  for (size_t i = 0; i < bytes / 8; i += 8) {
    for (int j = 0; j < 8; ++j) sums[j] += words[i + static_cast<size_t>(j)];
  }
  uint64_t sum = 0;
  for (const uint64_t part : sums) sum += part;
  return static_cast<uint32_t>(sum);
}

float multiply_floats(uint32_t rounds) {
  float chains[kChains];
  for (int j = 0; j < kChains; ++j) chains[j] = static_cast<float>(j);
  for (uint32_t i = 0; i < rounds; ++i) {
    for (float& chain : chains) chain = chain * 0.5f + 1.0f;
  }
  float sum = 0;
  for (const float chain : chains) sum += chain;
  return sum;
}

float multiply_words(uint32_t rounds) {
  uint32_t chains[kChains];
  for (int j = 0; j < kChains; ++j) chains[j] = static_cast<uint32_t>(j);
  for (uint32_t i = 0; i < rounds; ++i) {
    for (uint32_t& chain : chains) chain += (chain & 127u) * 3u;
  }
  uint32_t sum = 0;
  for (const uint32_t chain : chains) sum += chain;
  return static_cast<float>(sum);
}

#if defined(__x86_64__)

// Unrolled, so that every sum and chain has a register of its own; chains differ, or they would be made one.
#define GRUCORE_BENCH_WIDTH(name, features, Float, Int, set1, mul_add, load, add, zero, lanes)                  \
  __attribute__((target(features))) uint32_t read_##name(const void* from, size_t bytes) {                      \
    const Int* const at = static_cast<const Int*>(from);                                                        \
    const size_t count = bytes / sizeof(Int);                                                                   \
    Int sums[kSums];                                                                                            \
    for (Int & sum : sums) sum = zero;                                                                          \
    size_t i = 0;                                                                                               \
    for (; count - i >= kSums; i += kSums) {                                                                    \
      _Pragma("GCC unroll 8") for (size_t j = 0; j < kSums; ++j) sums[j] = add(sums[j], load(at + i + j));      \
    }                                                                                                           \
    for (; i < count; ++i) sums[0] = add(sums[0], load(at + i));                                                \
    for (size_t j = 1; j < kSums; ++j) sums[0] = add(sums[0], sums[j]);                                         \
    uint32_t words[lanes];                                                                                      \
    __builtin_memcpy(words, &sums[0], sizeof words);                                                            \
    return words[0];                                                                                            \
  }                                                                                                             \
  __attribute__((target(features))) float multiply_##name(uint32_t rounds) {                                    \
    Float chains[kChains];                                                                                      \
    const Float half = set1(0.5f), one = set1(1.0f);                                                            \
    _Pragma("GCC unroll 16") for (int j = 0; j < kChains; ++j) chains[j] = set1(static_cast<float>(j));         \
    for (uint32_t i = 0; i < rounds; ++i) {                                                                     \
      _Pragma("GCC unroll 16") for (int j = 0; j < kChains; ++j) chains[j] = mul_add(chains[j], half, one);     \
    }                                                                                                           \
    _Pragma("GCC unroll 16") for (int i = 1; i < kChains; ++i) chains[0] = mul_add(chains[i], half, chains[0]); \
    float first[lanes];                                                                                         \
    __builtin_memcpy(first, &chains[0], sizeof first);                                                          \
    return first[0];                                                                                            \
  }

#define GRUCORE_BENCH_SSE_MULADD(a, b, c) _mm_add_ps(_mm_mul_ps(a, b), c)
GRUCORE_BENCH_WIDTH(sse, "sse4.1", __m128, __m128i, _mm_set1_ps, GRUCORE_BENCH_SSE_MULADD, _mm_load_si128,
                    _mm_add_epi32, _mm_setzero_si128(), 4)
GRUCORE_BENCH_WIDTH(avx2, "avx2,fma", __m256, __m256i, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_load_si256,
                    _mm256_add_epi32, _mm256_setzero_si256(), 8)
GRUCORE_BENCH_WIDTH(avx512, "avx512f", __m512, __m512i, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_load_si512,
                    _mm512_add_epi32, _mm512_setzero_si512(), 16)

// Sums of byte products, `dot(sum, factor)` adding four a lane.
#define GRUCORE_BENCH_BYTES(name, features, Int, set1, dot)                                           \
  __attribute__((target(features))) float multiply_bytes_##name(uint32_t rounds) {                    \
    Int chains[kChains];                                                                              \
    Int factor = set1(0x01020304);                                                                    \
    _Pragma("GCC unroll 16") for (int j = 0; j < kChains; ++j) chains[j] = set1(j);                   \
    for (uint32_t i = 0; i < rounds; ++i) {                                                           \
      __asm__ volatile("" : "+x"(factor));                                                            \
      _Pragma("GCC unroll 16") for (int j = 0; j < kChains; ++j) chains[j] = dot(chains[j], factor);  \
    }                                                                                                 \
    _Pragma("GCC unroll 16") for (int j = 1; j < kChains; ++j) chains[0] = dot(chains[0], chains[j]); \
    int32_t first;                                                                                    \
    __builtin_memcpy(&first, &chains[0], sizeof first);                                               \
    return static_cast<float>(first);                                                                 \
  }

// The sum is a factor too, so that no product is the same for all chains.
#define GRUCORE_BENCH_PAIRS(width, sum, factor) \
  _mm##width##_add_epi32(sum,                   \
                         _mm##width##_madd_epi16(_mm##width##_maddubs_epi16(factor, sum), _mm##width##_set1_epi16(1)))
#define GRUCORE_BENCH_PAIRS_SSE(sum, factor) GRUCORE_BENCH_PAIRS(, sum, factor)
#define GRUCORE_BENCH_PAIRS_AVX2(sum, factor) GRUCORE_BENCH_PAIRS(256, sum, factor)
#define GRUCORE_BENCH_PAIRS_AVX512(sum, factor) GRUCORE_BENCH_PAIRS(512, sum, factor)
#define GRUCORE_BENCH_DOT_AVX2(sum, factor) _mm256_dpbusd_avx_epi32(sum, factor, factor)
#define GRUCORE_BENCH_DOT_AVX512(sum, factor) _mm512_dpbusd_epi32(sum, factor, factor)
GRUCORE_BENCH_BYTES(sse, "sse4.1", __m128i, _mm_set1_epi32, GRUCORE_BENCH_PAIRS_SSE)
GRUCORE_BENCH_BYTES(avx2, "avx2", __m256i, _mm256_set1_epi32, GRUCORE_BENCH_PAIRS_AVX2)
GRUCORE_BENCH_BYTES(avxvnni, "avx2,avxvnni", __m256i, _mm256_set1_epi32, GRUCORE_BENCH_DOT_AVX2)
GRUCORE_BENCH_BYTES(avx512, "avx512f,avx512bw", __m512i, _mm512_set1_epi32, GRUCORE_BENCH_PAIRS_AVX512)
GRUCORE_BENCH_BYTES(avx512vnni, "avx512f,avx512vnni", __m512i, _mm512_set1_epi32, GRUCORE_BENCH_DOT_AVX512)

#if defined(__linux__) && defined(__LP64__)
constexpr size_t kMacsOfTiles = 16 * 16 * 64;

// Products of whole tiles, of as many sums as there are columns in the engine's.
__attribute__((target("amx-tile,amx-int8"))) float multiply_tiles(uint32_t rounds) {
  struct alignas(64) {
    unsigned char palette = 1, unused[15] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64};
    unsigned char rows[16] = {16, 16, 16, 16, 16};
  } shapes;
  __asm__ volatile("ldtilecfg %0" : : "m"(shapes));
  for (uint32_t i = 0; i < rounds; ++i) {
    __asm__ volatile("tdpbssd %tmm4, %tmm3, %tmm0\n\ttdpbssd %tmm4, %tmm3, %tmm1\n\ttdpbssd %tmm4, %tmm3, %tmm2");
  }
  __asm__ volatile("tilerelease");
  return 0.0f;
}
#define GRUCORE_BENCH_TILES 1
#endif

#elif defined(__aarch64__)

uint32_t read_neon(const void* from, size_t bytes) {
  const uint32_t* at = static_cast<const uint32_t*>(from);
  uint32x4_t sums[4] = {vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0)};
  for (size_t i = 0; i < bytes / 4; i += 16) {
    for (size_t j = 0; j < 4; ++j) sums[j] = vaddq_u32(sums[j], vld1q_u32(at + i + 4 * j));
  }
  return vaddvq_u32(vaddq_u32(vaddq_u32(sums[0], sums[1]), vaddq_u32(sums[2], sums[3])));
}

float multiply_neon(uint32_t rounds) {
  float32x4_t chains[kChains];
  const float32x4_t half = vdupq_n_f32(0.5f), one = vdupq_n_f32(1.0f);
  _Pragma("GCC unroll 16") for (int j = 0; j < kChains; ++j) chains[j] = vdupq_n_f32(static_cast<float>(j));
  for (uint32_t i = 0; i < rounds; ++i) {
    _Pragma("GCC unroll 16") for (int j = 0; j < kChains; ++j) chains[j] = vfmaq_f32(one, chains[j], half);
  }
  _Pragma("GCC unroll 16") for (int i = 1; i < kChains; ++i) chains[0] = vaddq_f32(chains[0], chains[i]);
  return vaddvq_f32(chains[0]);
}

#endif

}  // namespace

Limits limits_of(grucore::Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case grucore::Isa::sse41: return {read_sse, multiply_sse, kChains * 4, multiply_bytes_sse, kChains * 16};
    case grucore::Isa::avx2: return {read_avx2, multiply_avx2, kChains * 8, multiply_bytes_avx2, kChains * 32};
    case grucore::Isa::avxvnni: return {read_avx2, multiply_avx2, kChains * 8, multiply_bytes_avxvnni, kChains * 32};
    case grucore::Isa::avx512: return {read_avx512, multiply_avx512, kChains * 16, multiply_bytes_avx512, kChains * 64};
    case grucore::Isa::avx512vnni:
      return {read_avx512, multiply_avx512, kChains * 16, multiply_bytes_avx512vnni, kChains * 64};
#if defined(GRUCORE_BENCH_TILES)
    case grucore::Isa::amxint8: return {read_avx512, multiply_avx512, kChains * 16, multiply_tiles, 3 * kMacsOfTiles};
#endif
#elif defined(__aarch64__)
    case grucore::Isa::neon:
    case grucore::Isa::neondot: return {read_neon, multiply_neon, kChains * 4, multiply_words, kChains};
#endif
    default: return {read_words, multiply_floats, kChains, multiply_words, kChains};
  }
}

uint32_t fixed_loop(uint32_t rounds) {
  uint32_t value = 1;
  for (uint32_t i = 0; i < rounds; ++i) {
    value = value * 1664525u + 1013904223u;
    keep(value);
  }
  return value;
}

}  // namespace grucore_bench
