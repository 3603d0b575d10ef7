// The numbers of docs/format.md.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_FORMAT_LAYOUT_H_
#define GRUCORE_FORMAT_LAYOUT_H_

#include <stddef.h>
#include <stdint.h>

namespace grucore {
namespace detail {

constexpr unsigned char kMagic[8] = {0x89, 'G', 'R', 'U', 0x0d, 0x0a, 0x1a, 0x0a};
constexpr uint32_t kVersion = 1;
constexpr size_t kSectionAlignment = 64;
constexpr size_t kHeaderBytes = 64;
constexpr size_t kValueBytes = 32;
constexpr size_t kNodeBytes = 64;
constexpr size_t kTensorBytes = 64;

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 40;
#define GRUCORE_LIMIT(constant, most, name) constexpr uint32_t constant = most;
#include "format/limits.inc"
#undef GRUCORE_LIMIT

// blocks8x4: the rows and the inputs of a block, and the most inputs of a matrix, for places of two bytes.
constexpr uint32_t kStripRows = 8;
constexpr uint32_t kBlockColumns = 4;
constexpr uint32_t kMostBlockInputs = kBlockColumns << 16;
constexpr size_t kSpareBlocks = 3;  // whose places are zeros, behind those of the last block: kernels read them
constexpr size_t places_bytes(size_t strips, size_t blocks) {
  const size_t bytes = 4 * strips + 2 * (blocks + kSpareBlocks);
  return (bytes + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
}

enum class TensorDtype : uint32_t {
#define GRUCORE_TENSOR_DTYPE(enumerator, number, name, bits) enumerator = number,
#include "format/dtypes.inc"
#undef GRUCORE_TENSOR_DTYPE
};
constexpr uint32_t bits_of(TensorDtype dtype) {
  switch (dtype) {
#define GRUCORE_TENSOR_DTYPE(enumerator, number, name, bits) \
  case TensorDtype::enumerator: return bits;
#include "format/dtypes.inc"
#undef GRUCORE_TENSOR_DTYPE
  }
  return 0;  // no dtype of this release
}

enum class Layout : uint32_t {
#define GRUCORE_LAYOUT(enumerator, number, name) enumerator = number,
#include "format/layouts.inc"
#undef GRUCORE_LAYOUT
};

enum class Role : uint32_t {
#define GRUCORE_ROLE(enumerator, number, name) enumerator = number,
#include "format/roles.inc"
#undef GRUCORE_ROLE
};
constexpr uint32_t kFirstModelRole = static_cast<uint32_t>(Role::kTestInput);

// The highest numbers of the lists, for reports.
constexpr uint32_t last_node_role() {
  uint32_t last = 0;
#define GRUCORE_ROLE(enumerator, number, name) \
  if (number < kFirstModelRole) last = number;
#include "format/roles.inc"
#undef GRUCORE_ROLE
  return last;
}
constexpr uint32_t last_dtype() {
  uint32_t last = 0;
#define GRUCORE_TENSOR_DTYPE(enumerator, number, name, bits) last = number;
#include "format/dtypes.inc"
#undef GRUCORE_TENSOR_DTYPE
  return last;
}

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_FORMAT_LAYOUT_H_
