// CRC-32C by tables: a byte at a time, eight where there are many, or half a byte on firmware.
// SPDX-License-Identifier: Apache-2.0
#include "format/crc32c.h"

#if defined(GRUCORE_CONFIG)  // kernels/parts.h
#include GRUCORE_CONFIG
#endif

namespace grucore {
namespace detail {

namespace {

constexpr uint32_t kPolynomial = 0x82f63b78u;  // 0x1EDC6F41 with its bits reversed

#if defined(GRUCORE_ONLY_SCALAR)  // 64 bytes of flash instead of 1 KiB, and no tables on the stack

// The remainder of each half byte.
struct Table {
  uint32_t of[16];
};
constexpr Table make_table() {
  Table table = {};
  for (uint32_t half = 0; half < 16; ++half) {
    uint32_t crc = half;
    for (int bit = 0; bit < 4; ++bit) crc = (crc >> 1) ^ ((crc & 1u) ? kPolynomial : 0u);
    table.of[half] = crc;
  }
  return table;
}
constexpr Table kTable = make_table();

}  // namespace

uint32_t crc32c(uint32_t crc, const void* bytes, size_t count) {
  crc = ~crc;
  for (const unsigned char *p = static_cast<const unsigned char*>(bytes), *end = p + count; p != end; ++p) {
    crc ^= *p;
    crc = (crc >> 4) ^ kTable.of[crc & 15];
    crc = (crc >> 4) ^ kTable.of[crc & 15];
  }
  return ~crc;
}

#else

// The remainder of each byte.
struct Table {
  uint32_t of[256];
};
constexpr Table make_table() {
  Table table = {};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) ? kPolynomial : 0u);
    table.of[byte] = crc;
  }
  return table;
}
constexpr Table kTable = make_table();

constexpr int kTables = 8;
constexpr size_t kMany = 512;  // bytes that take longer than the other tables, which a package need not carry

uint32_t little_endian(const unsigned char* p) {
  return p[0] | static_cast<uint32_t>(p[1]) << 8 | static_cast<uint32_t>(p[2]) << 16 |
         static_cast<uint32_t>(p[3]) << 24;
}

// The remainder after `count` bytes, a multiple of eight.
uint32_t eight_at_a_time(uint32_t crc, const unsigned char* p, size_t count) {
  uint32_t of[kTables][256];  // of[k][b]: the remainder of byte b followed by k zero bytes
  for (uint32_t byte = 0; byte < 256; ++byte) {
    of[0][byte] = kTable.of[byte];
    for (int k = 1; k < kTables; ++k) of[k][byte] = (of[k - 1][byte] >> 8) ^ kTable.of[of[k - 1][byte] & 0xff];
  }
  for (const unsigned char* const end = p + count; p != end; p += 8) {
    const uint32_t low = crc ^ little_endian(p);
    const uint32_t high = little_endian(p + 4);
    crc = of[7][low & 0xff] ^ of[6][low >> 8 & 0xff] ^ of[5][low >> 16 & 0xff] ^ of[4][low >> 24] ^ of[3][high & 0xff] ^
          of[2][high >> 8 & 0xff] ^ of[1][high >> 16 & 0xff] ^ of[0][high >> 24];
  }
  return crc;
}

}  // namespace

uint32_t crc32c(uint32_t crc, const void* bytes, size_t count) {
  const unsigned char* p = static_cast<const unsigned char*>(bytes);
  const unsigned char* const end = p + count;
  crc = ~crc;
  if (count >= kMany) {
    crc = eight_at_a_time(crc, p, count / 8 * 8);
    p += count / 8 * 8;
  }
  for (; p != end; ++p) crc = (crc >> 8) ^ kTable.of[(crc ^ *p) & 0xff];
  return ~crc;
}

#endif

}  // namespace detail
}  // namespace grucore
