// Values: what flows along the edges.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "model/parse.h"

namespace grucore {
namespace detail {

Status parse_name(const Reader& reader, const Sections& at, const Header& header, uint32_t length, size_t length_offset,
                  size_t* offset, Text* out) {
  if (length == 0 || length > kMaxNameLength) {
    return reader.refuse(Status::kBadName, length_offset, length, kMaxNameLength);
  }
  const size_t end = at.names + header.name_bytes;
  if (length > end - *offset) return reader.refuse(Status::kBadName, length_offset, length, end - *offset);
  for (size_t i = *offset; i < *offset + length; ++i) {
    const unsigned char byte = *reader.at(i);
    if (is_control(byte)) return reader.refuse(Status::kBadName, i, byte, 0x20);
  }
  *out = {reinterpret_cast<const char*>(reader.at(*offset)), length};
  *offset += length;
  return Status::kOk;
}

Status expect_new_name(const Reader& reader, size_t length_offset, const Text& name, uint32_t index, size_t size) {
  const unsigned char* at = reinterpret_cast<const unsigned char*>(&name);
  for (uint32_t j = index; j-- > 0;) {
    at -= size;
    const Text& other = *reinterpret_cast<const Text*>(at);
    if (other.length == name.length && memcmp(other.bytes, name.bytes, name.length) == 0) {
      return reader.refuse(Status::kBadName, length_offset, index, j);
    }
  }
  return Status::kOk;
}

size_t node_names(const Header& header, const Sections& at, const Value* values) {
  size_t names = at.names;
  for (uint32_t i = 0; i < header.value_count; ++i) names += values[i].name.length;
  return names;
}

Status parse_values(const Reader& reader, const Header& header, const Sections& at, const ModelMemory& memory) {
  size_t name_offset = at.names;
  for (uint32_t i = 0; i < header.value_count; ++i) {
    const size_t record = at.values + size_t{i} * kValueBytes;
    Value& value = memory.values[i];
    GRUCORE_TRY(parse_name(reader, at, header, reader.u32(record), record, &name_offset, &value.name));
    GRUCORE_TRY(expect_new_name(reader, record, value.name, i, sizeof value));
    value.features = reader.u32(record + 4);
    if (value.features == 0 || value.features > kMaxFeatures) {
      return reader.refuse(Status::kBadValue, record + 4, value.features, kMaxFeatures);
    }
    const uint32_t dtype = reader.u32(record + 8);
    if (dtype > 1) return reader.refuse(Status::kBadValue, record + 8, dtype, 1);
    value.dtype = static_cast<Dtype>(dtype);
    const uint32_t rate = reader.u32(record + 12);
    if (rate > 2) return reader.refuse(Status::kBadValue, record + 12, rate, 2);
    value.rate = static_cast<Rate>(rate);
    value.period = reader.u32(record + 16);
    const bool periodic = value.rate == Rate::kPeriod;
    const uint32_t most = periodic ? kMaxPeriod : 1;
    if (value.period < (periodic ? 2u : 1u) || value.period > most) {
      return reader.refuse(Status::kBadValue, record + 16, value.period, most);
    }
    value.skip = reader.u32(record + 20);
    const uint32_t most_skip = value.rate == Rate::kSequence ? 0 : kMaxSkip;
    if (value.skip > most_skip) return reader.refuse(Status::kBadValue, record + 20, value.skip, most_skip);
    GRUCORE_TRY(reader.zeros(record + 24, record + kValueBytes));
    value.writer = kNobody;
    value.ids = 0;
  }
  return Status::kOk;
}

}  // namespace detail
}  // namespace grucore
