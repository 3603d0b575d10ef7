// Tensor records, and where their bytes lie.
// SPDX-License-Identifier: Apache-2.0
#include "model/parse.h"

namespace grucore {
namespace detail {

namespace {

bool is_integer_weight(const Tensor& tensor) {
  return tensor.dtype == TensorDtype::kInt8 || tensor.dtype == TensorDtype::kInt4;
}

Status check_panels(const Reader& reader, size_t record, const Tensor& tensor) {
  const uint32_t gates = tensor.params[0];
  if (gates < 1 || gates > 4) return reader.refuse(Status::kBadShape, record + 32, gates, 4);
  const bool is_integer = is_integer_weight(tensor);
  const uint32_t together = tensor.dtype == TensorDtype::kInt8 ? 4 : tensor.dtype == TensorDtype::kInt4 ? 8 : 1;
  if (tensor.params[1] != together) return reader.refuse(Status::kBadShape, record + 36, tensor.params[1], together);
  const uint32_t groups = tensor.params[2];
  if (groups == 1 || groups > kMaxFeatures) return reader.refuse(Status::kBadShape, record + 40, groups, kMaxFeatures);
  const uint32_t bits = tensor.params[3];
  if (is_integer ? bits != 8 && bits != 16 : bits != 0) {
    return reader.refuse(is_integer ? Status::kBadShape : Status::kReservedNotZero, record + 44, bits,
                         is_integer ? 16 : 0);
  }
  if (tensor.rank > (is_integer ? 3u : 2u)) {
    return reader.refuse(Status::kBadShape, record + 12, tensor.rank, is_integer ? 3 : 2);
  }
  if (is_integer && tensor.rank < 2) return reader.refuse(Status::kBadShape, record + 12, tensor.rank, 2);
  const size_t matrices = size_t{gates} * (groups ? groups : 1);
  if (tensor.shape[0] % matrices != 0) return reader.refuse(Status::kBadShape, record + 16, tensor.shape[0], matrices);
  return Status::kOk;
}

Status check_layout(const Reader& reader, size_t record, const Tensor& tensor) {
  if (tensor.layout == Layout::kPanel16) return check_panels(reader, record, tensor);
  if (tensor.dtype == TensorDtype::kInt4) {
    return reader.refuse(Status::kUnknownLayout, record + 8, static_cast<uint32_t>(tensor.layout),
                         static_cast<uint32_t>(Layout::kPanel16));
  }
  if (tensor.layout == Layout::kRows && tensor.rank != 2) {
    return reader.refuse(Status::kBadShape, record + 12, tensor.rank, 2);
  }
  return reader.zeros(record + 32, record + 48);
}

// The bound of a tensor of any dtype, so that no number of bytes overflows.
constexpr size_t kMostElements = sizeof(size_t) > 4 ? static_cast<size_t>(kMaxFileBytes) : SIZE_MAX / 4;

constexpr size_t bytes_of(TensorDtype dtype, size_t elements) {
  return bits_of(dtype) == 4 ? elements / 2 : elements * (bits_of(dtype) / 8);
}

// Elements with their padding. No product overflows: each is bounded by kMostElements before the next.
Status stored_elements(const Reader& reader, size_t record, const Tensor& tensor, size_t* out) {
  size_t elements = 1;
  for (uint32_t i = 0; i < tensor.rank; ++i) {
    size_t extent = tensor.shape[i];
    if (extent > kMostElements) return reader.refuse(Status::kBadShape, record + 16 + 4 * i, extent, kMostElements);
    if (i == 0 && tensor.layout == Layout::kPanel16) {
      const size_t matrices = size_t{tensor.params[0]} * (tensor.params[2] ? tensor.params[2] : 1);
      extent = matrices * ((extent / matrices + 3) / 4 * 4);
    }
    if (i == 1 && tensor.layout == Layout::kRows) extent = (extent + 15) / 16 * 16;
    if (i == tensor.rank - 1 && is_integer_weight(tensor) && tensor.layout == Layout::kPanel16) {
      extent = (extent + tensor.params[1] - 1) / tensor.params[1] * tensor.params[1];
    }
    const size_t most = kMostElements / elements;
    if (extent > most) return reader.refuse(Status::kBadShape, record + 16 + 4 * size_t{i}, tensor.shape[i], most);
    elements *= extent;
  }
  *out = elements;
  return Status::kOk;
}

Status parse_shape(const Reader& reader, size_t record, Tensor* tensor) {
  tensor->rank = reader.u32(record + 12);
  if (tensor->rank < 1 || tensor->rank > 4) return reader.refuse(Status::kBadShape, record + 12, tensor->rank, 4);
  for (uint32_t i = 0; i < 4; ++i) {
    const size_t offset = record + 16 + 4 * size_t{i};
    tensor->shape[i] = reader.u32(offset);
    if (i < tensor->rank && tensor->shape[i] == 0) return reader.refuse(Status::kBadShape, offset, 0, 1);
    if (i >= tensor->rank && tensor->shape[i] != 0) {
      return reader.refuse(Status::kReservedNotZero, offset, tensor->shape[i], 0);
    }
    tensor->params[i] = reader.u32(record + 32 + 4 * size_t{i});
  }
  return Status::kOk;
}

// [offset, offset + bytes) is where the tensor has to be, after `expected`, the end of the one before.
Status check_place(const Reader& reader, size_t record, uint64_t offset, uint64_t bytes, size_t needed,
                   size_t expected) {
  if (offset % kSectionAlignment != 0) {
    return reader.refuse_wide(Status::kMisalignedTensor, record + 48, offset, align_up(offset, kSectionAlignment));
  }
  if (offset < expected) return reader.refuse_wide(Status::kOverlappingTensor, record + 48, offset, expected);
  if (offset > expected) return reader.refuse_wide(Status::kGap, record + 48, offset, expected);
  if (bytes != needed) return reader.refuse_wide(Status::kBadShape, record + 56, bytes, needed);
  if (offset > reader.bytes() || bytes > reader.bytes() - offset) {
    return reader.refuse_wide(Status::kTruncated, record + 56, bytes,
                              offset > reader.bytes() ? 0 : reader.bytes() - offset);
  }
  return Status::kOk;
}

// Finite; of weights, which a denormal one would slow, also zero or normal.
bool is_fit(uint32_t bits, bool is_weight) {
  const uint32_t magnitude = bits & 0x7fffffffu;
  return magnitude < 0x7f800000u && (magnitude == 0 || magnitude >= 0x00800000u || !is_weight);
}

// Which node the tensors belong to, and its name, told from the nodes' records before these are checked: for reports
// only.
class Owner {
 public:
  Owner(const Reader& reader, const Header& header, const Sections& at, const Value* values)
      : reader_(reader), header_(header), at_(at), name_(at.names) {
    for (uint32_t i = 0; i < header.value_count; ++i) name_ += values[i].name.length;
    if (header.node_count) end_ = reader.u32(record() + 20);
  }

  // Blames the node of `tensor`, which is not before those of the calls before; the model's own tensors have none.
  void blame(uint32_t tensor) {
    while (node_ < header_.node_count && tensor >= end_) {
      name_ += reader_.u32(record() + 4);
      if (++node_ < header_.node_count) end_ += reader_.u32(record() + 20);
    }
    if (node_ < header_.node_count) reader_.blame_node(node_, name());
  }

 private:
  size_t record() const { return at_.nodes + size_t{node_} * kNodeBytes; }
  Text name() const {
    const uint32_t length = reader_.u32(record() + 4);
    const size_t end = at_.names + header_.name_bytes;
    if (length > kMaxNameLength || name_ > end || length > end - name_) return {nullptr, 0};
    for (size_t i = name_; i < name_ + length; ++i) {
      if (is_control(*reader_.at(i))) return {nullptr, 0};
    }
    return {reinterpret_cast<const char*>(reader_.at(name_)), length};
  }

  const Reader& reader_;
  const Header& header_;
  const Sections& at_;
  size_t name_;
  uint64_t end_ = 0;
  uint32_t node_ = 0;
};

Status check_floats(const Reader& reader, size_t offset, size_t bytes, bool is_weight) {
  bool bad = false;
  for (size_t i = 0; i < bytes; i += 4) bad |= !is_fit(reader.u32(offset + i), is_weight);
  if (!bad) return Status::kOk;
  for (size_t i = 0; i < bytes; i += 4) {
    const uint32_t word = reader.u32(offset + i);
    if (!is_fit(word, is_weight)) return reader.refuse(Status::kNonfiniteWeight, offset + i, word, 0);
  }
  return Status::kOk;
}

Status check_halves(const Reader& reader, size_t offset, size_t bytes) {
  constexpr uint32_t kExponent = 0x7c00;
  for (size_t i = 0; i < bytes; i += 4) {
    const uint32_t both = reader.u32(offset + i);  // the file ends on a multiple of 64: a last half has zeros after it
    const bool is_low_bad = (both & kExponent) == kExponent, is_high_bad = (both >> 16 & kExponent) == kExponent;
    if (is_low_bad || is_high_bad) {
      return reader.refuse(Status::kNonfiniteWeight, offset + i + (is_low_bad ? 0 : 2),
                           is_low_bad ? both & 0xffff : both >> 16, 0);
    }
  }
  return Status::kOk;
}

// Kernels negate int8 weights and add pairs of their products, so that -128 is none.
Status check_bytes(const Reader& reader, size_t offset, size_t bytes) {
  constexpr unsigned char kLowest = 0x80;
  const unsigned char* at = static_cast<const unsigned char*>(reader.at(offset));
  bool bad = false;
  for (size_t i = 0; i < bytes; ++i) bad |= at[i] == kLowest;
  if (!bad) return Status::kOk;
  for (size_t i = 0; i < bytes; ++i) {
    if (at[i] == kLowest) return reader.refuse(Status::kNonfiniteWeight, offset + i, kLowest, 0);
  }
  return Status::kOk;
}

Status check_numbers(const Reader& reader, const Tensor& tensor, size_t offset, size_t bytes) {
  switch (tensor.dtype) {
    case TensorDtype::kFloat32: return check_floats(reader, offset, bytes, tensor.role < kFirstModelRole);
    case TensorDtype::kFloat16: return check_halves(reader, offset, bytes);
    case TensorDtype::kInt8: return check_bytes(reader, offset, bytes);
    case TensorDtype::kInt32:
    case TensorDtype::kInt4: break;
  }
  return Status::kOk;
}

}  // namespace

Status parse_tensors(const Reader& reader, const Header& header, const Sections& at, const ModelMemory& memory) {
  size_t end = at.data;
  Owner owner(reader, header, at, memory.values);
  for (uint32_t i = 0; i < header.tensor_count; ++i) {
    const size_t record = at.tensors + size_t{i} * kTensorBytes;
    Tensor& tensor = memory.tensors[i];
    tensor.record_offset = record;
    tensor.role = reader.u32(record);
    owner.blame(i);
    reader.blame_tensor(tensor.role);
    const uint32_t dtype = reader.u32(record + 4);
    if (dtype > last_dtype()) return reader.refuse(Status::kUnknownDtype, record + 4, dtype, last_dtype());
    tensor.dtype = static_cast<TensorDtype>(dtype);
    const uint32_t layout = reader.u32(record + 8);
    if (layout < 1 || layout > last_layout()) {
      return reader.refuse(Status::kUnknownLayout, record + 8, layout, last_layout());
    }
    tensor.layout = static_cast<Layout>(layout);
    GRUCORE_TRY(parse_shape(reader, record, &tensor));
    GRUCORE_TRY(check_layout(reader, record, tensor));
    size_t elements = 0;
    GRUCORE_TRY(stored_elements(reader, record, tensor, &elements));
    const size_t bytes = bytes_of(tensor.dtype, elements);
    GRUCORE_TRY(check_place(reader, record, reader.u64(record + 48), reader.u64(record + 56), bytes, end));
    const size_t offset = end;
    const size_t next = align_up(offset + bytes, kSectionAlignment);
    if (next > reader.bytes()) return reader.refuse(Status::kTruncated, reader.bytes(), reader.bytes(), next);
    GRUCORE_TRY(reader.zeros(offset + bytes, next));
    GRUCORE_TRY(check_numbers(reader, tensor, offset, bytes));
    tensor.data = reader.at(offset);
    end = next;
    reader.blame_nobody();
  }
  if (end != reader.bytes()) return reader.refuse(Status::kGap, end, reader.bytes(), end);
  return Status::kOk;
}

}  // namespace detail
}  // namespace grucore
