// Weights in blocks8x4.
// SPDX-License-Identifier: Apache-2.0
#include "graph/blocks.h"

#include "format/layout.h"

namespace grucore {
namespace detail {

namespace {

constexpr size_t kBlockBytes = size_t{kStripRows} * kBlockColumns;
constexpr size_t kMostBlocks = sizeof(size_t) > 4 ? UINT32_MAX : SIZE_MAX / 128;

uint32_t u16(const Reader& reader, size_t offset) {
  return reader.at(offset)[0] | static_cast<uint32_t>(reader.at(offset)[1]) << 8;
}

Status check_strip(const Reader& reader, size_t fours, size_t begin, size_t end, size_t columns) {
  for (size_t i = begin; i < end; ++i) {
    const uint32_t four = u16(reader, fours + 2 * i), least = i == begin ? 0 : u16(reader, fours + 2 * (i - 1)) + 1;
    if (four < least) return reader.refuse(Status::kBadIndex, fours + 2 * i, four, least);
    if (four >= columns) return reader.refuse(Status::kBadIndex, fours + 2 * i, four, columns - 1);
  }
  return Status::kOk;
}

Status check_not_zero(const Reader& reader, size_t block) {
  for (size_t i = 0; i < kBlockBytes; ++i) {
    if (*reader.at(block + i)) return Status::kOk;
  }
  return reader.refuse(Status::kBadIndex, block, 0, 1);
}

}  // namespace

Status check_block_shape(const Reader& reader, size_t record, const Tensor& tensor) {
  if (tensor.dtype != TensorDtype::kInt8) {
    return reader.refuse(Status::kUnknownLayout, record + 8, static_cast<uint32_t>(tensor.layout),
                         static_cast<uint32_t>(Layout::kPanel16));
  }
  const uint32_t gates = tensor.params[0], bits = tensor.params[3];
  if (gates < 1 || gates > 4) return reader.refuse(Status::kBadShape, record + 32, gates, 4);
  if (tensor.params[1] != kBlockColumns) {
    return reader.refuse(Status::kBadShape, record + 36, tensor.params[1], kBlockColumns);
  }
  if (bits != 8 && bits != 16) return reader.refuse(Status::kBadShape, record + 44, bits, 16);
  if (tensor.rank != 2) return reader.refuse(Status::kBadShape, record + 12, tensor.rank, 2);
  const uint32_t rows = gates * kStripRows;
  if (tensor.shape[0] % rows != 0) return reader.refuse(Status::kBadShape, record + 16, tensor.shape[0], rows);
  if (tensor.shape[1] % kBlockColumns != 0 || tensor.shape[1] > kMostBlockInputs) {
    return reader.refuse(Status::kBadShape, record + 20, tensor.shape[1], kBlockColumns);
  }
  return Status::kOk;
}

Status block_bytes(const Reader& reader, size_t record, const Tensor& tensor, size_t* before, size_t* bytes) {
  const size_t strips = tensor.shape[0] / kStripRows, blocks = tensor.params[2];
  // Shapes are as wide as a word, so that strips alone may be more than a file has bytes; what they take is compared
  // with those next.
  const uint64_t most = uint64_t{strips} * (tensor.shape[1] / kBlockColumns);
  if (blocks > most || blocks > kMostBlocks) return reader.refuse(Status::kBadShape, record + 40, blocks, 0);
  *before = places_bytes(strips, blocks);
  *bytes = *before + blocks * kBlockBytes;
  return Status::kOk;
}

Status check_block_places(const Reader& reader, const Tensor& tensor, size_t offset, size_t before) {
  const size_t strips = tensor.shape[0] / kStripRows, blocks = tensor.params[2];
  const size_t columns = tensor.shape[1] / kBlockColumns, fours = offset + 4 * strips;
  size_t begin = 0;
  for (size_t strip = 0; strip < strips; ++strip) {
    const size_t end = reader.u32(offset + 4 * strip);
    const bool is_last = strip + 1 == strips;
    if (end < begin || end > blocks || (is_last && end != blocks)) {
      return reader.refuse(Status::kBadIndex, offset + 4 * strip, end, end < begin ? begin : blocks);
    }
    GRUCORE_TRY(check_strip(reader, fours, begin, end, columns));
    begin = end;
  }
  GRUCORE_TRY(reader.zeros(fours + 2 * blocks, offset + before));
  for (size_t i = 0; i < blocks; ++i) GRUCORE_TRY(check_not_zero(reader, offset + before + i * kBlockBytes));
  return Status::kOk;
}

}  // namespace detail
}  // namespace grucore
