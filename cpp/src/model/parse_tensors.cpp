// Tensor records, and where their bytes lie.
// SPDX-License-Identifier: Apache-2.0
#include "graph/blocks.h"
#include "kernels/kernel_table.h"
#include "model/parse.h"

namespace grucore {
namespace detail {

namespace {

// int4 is the last one, and of weights alone.
constexpr bool kHasInt4 = has_weights(WeightKind::kInt4);
constexpr uint32_t kLastDtype = kHasInt4 ? last_dtype() : static_cast<uint32_t>(TensorDtype::kInt4) - 1;
static_assert(static_cast<uint32_t>(TensorDtype::kInt4) == last_dtype(), "kLastDtype leaves int4 out");

constexpr uint32_t kLastLayout = static_cast<uint32_t>(kHasBlocks ? Layout::kBlocks8x4 : Layout::kRows);
bool is_layout(uint32_t layout) {
  switch (static_cast<Layout>(layout)) {
#define GRUCORE_LAYOUT(enumerator, number, name) case Layout::enumerator:
#include "format/layouts.inc"
#undef GRUCORE_LAYOUT
    return layout <= kLastLayout;
  }
  return false;
}

bool is_in_blocks(const Tensor& tensor) { return kHasBlocks && tensor.layout == Layout::kBlocks8x4; }

bool is_int4(const Tensor& tensor) { return kHasInt4 && tensor.dtype == TensorDtype::kInt4; }
bool is_integer_weight(const Tensor& tensor) { return tensor.dtype == TensorDtype::kInt8 || is_int4(tensor); }

Status check_panels(const Reader& reader, size_t record, const Tensor& tensor) {
  const uint32_t gates = tensor.params[0];
  if (gates < 1 || gates > 4) return reader.refuse(Status::kBadShape, record + 32, gates, 4);
  const bool is_integer = is_integer_weight(tensor);
  const uint32_t together = tensor.dtype == TensorDtype::kInt8 ? 4 : is_int4(tensor) ? 8 : 1;
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
  if (is_in_blocks(tensor)) return check_block_shape(reader, record, tensor);
  if (is_int4(tensor)) {
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

// Elements with their padding. No product overflows: each is bounded by kMostElements before the next. (A padded
// extent might, but is not looked at where the extent itself is too large.)
Status stored_elements(const Reader& reader, size_t record, const Tensor& tensor, size_t* out) {
  size_t elements = 1;
  for (uint32_t i = 0; i < tensor.rank; ++i) {
    size_t extent = tensor.shape[i];
    const size_t most = kMostElements / elements;
    if (i == 0 && tensor.layout == Layout::kPanel16) {
      const size_t matrices = size_t{tensor.params[0]} * (tensor.params[2] ? tensor.params[2] : 1);
      extent = matrices * ((extent / matrices + 3) / 4 * 4);
    }
    if (i == 1 && tensor.layout == Layout::kRows) extent = (extent + 15) / 16 * 16;
    if (i == tensor.rank - 1 && is_integer_weight(tensor) && tensor.layout == Layout::kPanel16) {
      extent = (extent + tensor.params[1] - 1) / tensor.params[1] * tensor.params[1];
    }
    if (tensor.shape[i] > most || extent > most) {
      return reader.refuse(Status::kBadShape, record + 16 + 4 * size_t{i}, tensor.shape[i], most);
    }
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

// The tensor's bytes are those that the record says, and begin at `expected`, the end of the one before.
Status check_place(const Reader& reader, size_t record, size_t needed, size_t expected) {
  const uint64_t offset = reader.u64(record + 48), bytes = reader.u64(record + 56);
  if (offset % kSectionAlignment != 0) {
    return reader.refuse_wide(Status::kMisalignedTensor, record + 48, offset, align_up(offset, kSectionAlignment));
  }
  if (offset != expected) {
    return reader.refuse_wide(offset < expected ? Status::kOverlappingTensor : Status::kGap, record + 48, offset,
                              expected);
  }
  if (bytes != needed) return reader.refuse_wide(Status::kBadShape, record + 56, bytes, needed);
  const size_t left = reader.bytes() - expected;
  return needed > left ? reader.refuse(Status::kTruncated, record + 56, needed, left) : Status::kOk;
}

// Finite; of weights, which a denormal one would slow, also zero or normal.
bool is_fit(uint32_t bits, bool is_weight) {
  const uint32_t magnitude = bits & 0x7fffffffu;
  return magnitude < 0x7f800000u && (magnitude == 0 || magnitude >= 0x00800000u || !is_weight);
}

// Blames the node that tensor `tensor` belongs to; the model's own tensors have none. Told from the nodes' records,
// which nothing has checked yet: for reports only.
void blame_owner(const Reader& reader, const Header& header, const Sections& at, const Value* values, uint32_t tensor) {
  size_t name = node_names(header, at, values);
  uint64_t end = 0;
  for (uint32_t node = 0; node < header.node_count; ++node) {
    const size_t record = at.nodes + size_t{node} * kNodeBytes;
    const uint32_t length = reader.u32(record + 4);
    end += reader.u32(record + 20);
    if (tensor < end) {
      const size_t names_end = at.names + header.name_bytes;
      bool is_name = length <= kMaxNameLength && name <= names_end && length <= names_end - name;
      for (size_t i = name; is_name && i < name + length; ++i) is_name = !is_control(*reader.at(i));
      const Text unknown = {nullptr, 0};
      reader.blame_node(node, is_name ? Text{reinterpret_cast<const char*>(reader.at(name)), length} : unknown);
      return;
    }
    name += length;
  }
}

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

// The tensor of a record, whose data begin at *end; moves *end to where those of the next one do.
Status parse_tensor(const Reader& reader, size_t record, Tensor* tensor, size_t* end) {
  const uint32_t dtype = reader.u32(record + 4);
  if (dtype > kLastDtype) return reader.refuse(Status::kUnknownDtype, record + 4, dtype, kLastDtype);
  tensor->dtype = static_cast<TensorDtype>(dtype);
  const uint32_t layout = reader.u32(record + 8);
  if (!is_layout(layout)) {
    return reader.refuse(Status::kUnknownLayout, record + 8, layout, kLastLayout);
  }
  tensor->layout = static_cast<Layout>(layout);
  GRUCORE_TRY(parse_shape(reader, record, tensor));
  GRUCORE_TRY(check_layout(reader, record, *tensor));
  size_t before = 0, bytes = 0;  // `before`: those that are no numbers
  if (is_in_blocks(*tensor)) {
    GRUCORE_TRY(block_bytes(reader, record, *tensor, &before, &bytes));
  } else {
    GRUCORE_TRY(stored_elements(reader, record, *tensor, &bytes));
    bytes = bytes_of(tensor->dtype, bytes);
  }
  const size_t offset = *end;
  GRUCORE_TRY(check_place(reader, record, bytes, offset));
  *end = align_up(offset + bytes, kSectionAlignment);  // within the file, which ends on such a multiple
  GRUCORE_TRY(reader.zeros(offset + bytes, *end));
  tensor->data = reader.at(offset);
  if (is_in_blocks(*tensor)) GRUCORE_TRY(check_block_places(reader, *tensor, offset, before));
  return check_numbers(reader, *tensor, offset + before, bytes - before);
}

}  // namespace

Status parse_tensors(const Reader& reader, const Header& header, const Sections& at, const ModelMemory& memory) {
  size_t end = at.data;
  for (uint32_t i = 0; i < header.tensor_count; ++i) {
    const size_t record = at.tensors + size_t{i} * kTensorBytes;
    Tensor& tensor = memory.tensors[i];
    tensor.record_offset = record;
    tensor.role = reader.u32(record);
    const Status status = parse_tensor(reader, record, &tensor, &end);
    if (status != Status::kOk) {
      blame_owner(reader, header, at, memory.values, i);
      reader.blame_tensor(tensor.role);
      return status;
    }
  }
  if (end != reader.bytes()) return reader.refuse(Status::kGap, end, reader.bytes(), end);
  return Status::kOk;
}

}  // namespace detail
}  // namespace grucore
