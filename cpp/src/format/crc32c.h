// CRC-32C (Castagnoli).
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_FORMAT_CRC32C_H_
#define GRUCORE_FORMAT_CRC32C_H_

#include <stddef.h>
#include <stdint.h>

namespace grucore {
namespace detail {

// Continues `crc` (0 to begin with) over `count` bytes.
uint32_t crc32c(uint32_t crc, const void* bytes, size_t count);

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_FORMAT_CRC32C_H_
