// The header: magic, length, checksum, version, counts, in this order.
// SPDX-License-Identifier: Apache-2.0
#include "format/header.h"

#include "format/crc32c.h"
#include "format/layout.h"

namespace grucore {
namespace detail {

namespace {

constexpr size_t kVersionAt = 8;
constexpr size_t kChecksumAt = 12;
constexpr size_t kLengthAt = 16;
constexpr size_t kReservedAt = 56;

Status count(const Reader& reader, size_t offset, uint32_t least, uint32_t most, uint32_t* out) {
  const uint32_t found = reader.u32(offset);
  if (found < least) return reader.refuse(Status::kCountOutOfBounds, offset, found, least);
  if (found > most) return reader.refuse(Status::kCountOutOfBounds, offset, found, most);
  *out = found;
  return Status::kOk;
}

}  // namespace

Status read_header(const Reader& reader, Header* header) {
  for (size_t i = 0; i < sizeof kMagic; ++i) {
    if (i >= reader.bytes()) return reader.refuse(Status::kTruncated, i, reader.bytes(), kHeaderBytes);
    if (*reader.at(i) != kMagic[i]) return reader.refuse(Status::kBadMagic, i, *reader.at(i), kMagic[i]);
  }
  if (reader.bytes() < kHeaderBytes) {
    return reader.refuse(Status::kTruncated, reader.bytes(), reader.bytes(), kHeaderBytes);
  }
  const uint64_t length = reader.u64(kLengthAt);
  if (length > kMaxFileBytes || length % kSectionAlignment != 0) {
    return reader.refuse_wide(Status::kBadLength, kLengthAt, length, reader.bytes());
  }
  if (length > reader.bytes()) {
    return reader.refuse_wide(Status::kTruncated, reader.bytes(), reader.bytes(), length);
  }
  header->file_bytes = static_cast<size_t>(length);
  if (header->file_bytes < reader.bytes()) {
    return reader.refuse(Status::kBadLength, kLengthAt, reader.bytes(), header->file_bytes);
  }
  // Another version may have other counts; only damage or novelty is to be told apart.
  if (reader.u32(kVersionAt) != kVersion) return check_sum(reader);
  GRUCORE_TRY(count(reader, 24, 1, kMaxValues, &header->value_count));
  GRUCORE_TRY(count(reader, 28, 1, kMaxNodes, &header->node_count));
  GRUCORE_TRY(count(reader, 32, 0, kMaxTensors, &header->tensor_count));
  GRUCORE_TRY(count(reader, 36, 1, kMaxPorts, &header->input_count));
  GRUCORE_TRY(count(reader, 40, 1, kMaxPorts, &header->output_count));
  GRUCORE_TRY(count(reader, 44, 0, kMaxWords, &header->word_count));
  GRUCORE_TRY(count(reader, 48, 0, kMaxNameBytes, &header->name_bytes));
  GRUCORE_TRY(count(reader, 52, 0, kMaxMetadataBytes, &header->metadata_bytes));
  return Status::kOk;
}

Status check_sum(const Reader& reader) {
  constexpr unsigned char kZeros[4] = {0, 0, 0, 0};
  uint32_t crc = crc32c(0, reader.at(0), kChecksumAt);
  crc = crc32c(crc, kZeros, sizeof kZeros);
  const size_t rest = kChecksumAt + sizeof kZeros;
  crc = crc32c(crc, reader.at(rest), reader.bytes() - rest);
  const uint32_t stored = reader.u32(kChecksumAt);
  if (crc != stored) return reader.refuse(Status::kBadChecksum, kChecksumAt, crc, stored);
  const uint32_t version = reader.u32(kVersionAt);
  if (version != kVersion) return reader.refuse(Status::kNewerVersion, kVersionAt, version, kVersion);
  return reader.zeros(kReservedAt, kHeaderBytes);
}

Sections sections_of(const Header& header) {
  Sections at;
  at.values = kHeaderBytes;
  at.nodes = align_up(at.values + size_t{header.value_count} * kValueBytes, kSectionAlignment);
  at.tensors = align_up(at.nodes + size_t{header.node_count} * kNodeBytes, kSectionAlignment);
  at.words = align_up(at.tensors + size_t{header.tensor_count} * kTensorBytes, kSectionAlignment);
  at.names = align_up(at.words + size_t{header.word_count} * 4, kSectionAlignment);
  at.metadata = align_up(at.names + header.name_bytes, kSectionAlignment);
  at.data = align_up(at.metadata + header.metadata_bytes, kSectionAlignment);
  return at;
}

}  // namespace detail
}  // namespace grucore
