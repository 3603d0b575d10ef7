// CRC-32C over tables made at compile time: eight bytes at a time, or half a byte on firmware.
// SPDX-License-Identifier: Apache-2.0
#include "format/crc32c.h"

#if defined(GRUCORE_CONFIG)  // kernels/parts.h
#include GRUCORE_CONFIG
#endif

namespace grucore {
namespace detail {

namespace {

constexpr uint32_t kPolynomial = 0x82f63b78u;  // 0x1EDC6F41 with its bits reversed

#if defined(GRUCORE_ONLY_SCALAR)  // 64 bytes of flash instead of 8 KiB

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

constexpr int kTables = 8;

struct Tables {
  uint32_t of[kTables][256];
};

// of[k][b]: the remainder of byte b followed by k zero bytes.
constexpr Tables make_tables() {
  Tables tables = {};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) ? kPolynomial : 0u);
    tables.of[0][byte] = crc;
  }
  for (int k = 1; k < kTables; ++k) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t crc = tables.of[k - 1][byte];
      tables.of[k][byte] = (crc >> 8) ^ tables.of[0][crc & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTable = make_tables();

uint32_t little_endian(const unsigned char* p) {
  return p[0] | static_cast<uint32_t>(p[1]) << 8 | static_cast<uint32_t>(p[2]) << 16 |
         static_cast<uint32_t>(p[3]) << 24;
}

}  // namespace

uint32_t crc32c(uint32_t crc, const void* bytes, size_t count) {
  const unsigned char* p = static_cast<const unsigned char*>(bytes);
  crc = ~crc;
  for (; count >= 8; count -= 8, p += 8) {
    const uint32_t low = crc ^ little_endian(p);
    const uint32_t high = little_endian(p + 4);
    crc = kTable.of[7][low & 0xff] ^ kTable.of[6][low >> 8 & 0xff] ^ kTable.of[5][low >> 16 & 0xff] ^
          kTable.of[4][low >> 24] ^ kTable.of[3][high & 0xff] ^ kTable.of[2][high >> 8 & 0xff] ^
          kTable.of[1][high >> 16 & 0xff] ^ kTable.of[0][high >> 24];
  }
  for (; count > 0; --count, ++p) crc = (crc >> 8) ^ kTable.of[0][(crc ^ *p) & 0xff];
  return ~crc;
}

#endif

}  // namespace detail
}  // namespace grucore
