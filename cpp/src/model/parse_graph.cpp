// Nodes: their order, their lists, their tensors, their layer kinds.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "layers/layer.h"
#include "model/parse.h"

namespace grucore {
namespace detail {

namespace {

// Walks the words and the names, which are cut without gaps.
struct Cursor {
  const Reader& reader;
  const Header& header;
  const Sections& at;
  uint32_t* words;
  uint32_t word = 0;
  size_t name;

  size_t word_offset(uint32_t index) const { return at.words + size_t{index} * 4; }

  // The next `count` words, of which `list` is the copy; blamed on `offset` where there are not as many.
  Status take(uint32_t count, size_t offset, const uint32_t** list) {
    if (count > header.word_count - word) {
      return reader.refuse(Status::kBadIndex, offset, count, header.word_count - word);
    }
    for (uint32_t i = 0; i < count; ++i) words[word + i] = reader.u32(word_offset(word + i));
    *list = words + word;
    word += count;
    return Status::kOk;
  }

  Status value_indices(uint32_t count, size_t offset, const uint32_t** list) {
    const uint32_t first = word;
    GRUCORE_TRY(take(count, offset, list));
    for (uint32_t i = 0; i < count; ++i) {
      if ((*list)[i] >= header.value_count) {
        return reader.refuse(Status::kBadIndex, word_offset(first + i), (*list)[i], header.value_count - 1);
      }
    }
    return Status::kOk;
  }
};

constexpr uint32_t kUnwritten = 0xfffffffeu;  // Value::writer until a node writes it

Status parse_ports(Cursor* cursor, const ModelMemory& memory) {
  const Header& header = cursor->header;
  const Reader& reader = cursor->reader;
  const uint32_t* inputs = nullptr;
  const uint32_t* outputs = nullptr;
  GRUCORE_TRY(cursor->value_indices(header.input_count, 36, &inputs));
  const uint32_t first_output = cursor->word;
  GRUCORE_TRY(cursor->value_indices(header.output_count, 40, &outputs));
  for (uint32_t i = 0; i < header.value_count; ++i) memory.values[i].writer = kUnwritten;
  for (uint32_t i = 0; i < header.input_count; ++i) {
    if (i > 0 && inputs[i] <= inputs[i - 1]) {
      return reader.refuse(Status::kBadIndex, cursor->word_offset(i), inputs[i], inputs[i - 1] + 1);
    }
    const Value& input = memory.values[inputs[i]];
    if (input.rate != Rate::kFrame || input.skip != 0) {
      return reader.refuse(Status::kBadValue, cursor->word_offset(i), inputs[i], 0);
    }
    memory.values[inputs[i]].writer = kNobody;
  }
  for (uint32_t i = 0; i < header.output_count; ++i) {
    for (uint32_t j = 0; j < i; ++j) {
      if (outputs[i] == outputs[j]) {
        return reader.refuse(Status::kBadIndex, cursor->word_offset(first_output + i), outputs[i], outputs[j]);
      }
    }
  }
  memory.model->inputs = inputs;
  memory.model->outputs = outputs;
  return Status::kOk;
}

// Tensors of a node are in ascending order of role; those after the last node belong to the model.
Status check_roles(const Reader& reader, const Tensor* tensors, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    const size_t offset = tensors[i].record_offset;
    reader.blame_tensor(tensors[i].role);
    if (tensors[i].role < 1 || tensors[i].role > last_node_role()) {
      return reader.refuse(Status::kUnknownRole, offset, tensors[i].role, last_node_role());
    }
    if (i > 0 && tensors[i].role <= tensors[i - 1].role) {
      return reader.refuse(Status::kMissingTensor, offset, tensors[i].role, tensors[i - 1].role + 1);
    }
  }
  reader.blame_tensor(kNone);
  return Status::kOk;
}

Status parse_node(Cursor* cursor, const ModelMemory& memory, uint32_t index, uint32_t* tensor) {
  const Reader& reader = cursor->reader;
  const Header& header = cursor->header;
  const size_t record = cursor->at.nodes + size_t{index} * kNodeBytes;
  Node& node = memory.nodes[index];
  reader.blame_node(index, {nullptr, 0});
  GRUCORE_TRY(parse_name(reader, cursor->at, header, reader.u32(record + 4), record + 4, &cursor->name, &node.name));
  reader.blame_node(index, node.name);
  GRUCORE_TRY(expect_new_name(reader, record + 4, node.name, index, sizeof node));
  const uint32_t number = reader.u32(record);
  node.kind = find_layer_kind(number);
  if (!node.kind) return reader.refuse(Status::kUnknownKind, record, number, 0);
  node.input_count = reader.u32(record + 8);
  if (node.input_count < 1 || node.input_count > kMaxPorts) {
    return reader.refuse(Status::kCountOutOfBounds, record + 8, node.input_count, kMaxPorts);
  }
  node.output = reader.u32(record + 12);
  if (node.output >= header.value_count) {
    return reader.refuse(Status::kBadIndex, record + 12, node.output, header.value_count - 1);
  }
  const uint32_t attribute_count = reader.u32(record + 16);
  if (attribute_count > kMaxAttributes) {
    return reader.refuse(Status::kCountOutOfBounds, record + 16, attribute_count, kMaxAttributes);
  }
  const uint32_t tensor_count = reader.u32(record + 20);
  if (tensor_count > kMaxNodeTensors) {
    return reader.refuse(Status::kCountOutOfBounds, record + 20, tensor_count, kMaxNodeTensors);
  }
  if (tensor_count > header.tensor_count - *tensor) {
    return reader.refuse(Status::kBadIndex, record + 20, tensor_count, header.tensor_count - *tensor);
  }
  GRUCORE_TRY(reader.zeros(record + 24, record + kNodeBytes));
  const uint32_t first_input = cursor->word;
  GRUCORE_TRY(cursor->value_indices(node.input_count, record + 8, &node.inputs));
  for (uint32_t i = 0; i < node.input_count; ++i) {
    if (memory.values[node.inputs[i]].writer == kUnwritten && !(kHasLoops && node.kind->close_frame)) {
      return reader.refuse(Status::kBadOrder, cursor->word_offset(first_input + i), node.inputs[i], 0);
    }
  }
  Value& written = memory.values[node.output];
  if (written.writer != kUnwritten) return reader.refuse(Status::kValueNotWritten, record + 12, node.output, 1);
  const size_t attribute_offset = cursor->word_offset(cursor->word);
  const uint32_t* attributes = nullptr;
  GRUCORE_TRY(cursor->take(attribute_count, record + 16, &attributes));
  const Tensor* tensors = memory.tensors + *tensor;
  GRUCORE_TRY(check_roles(reader, tensors, tensor_count));
  const NodeSource source = {reader,       memory.values, node.inputs,     node.input_count,
                             node.output,  attributes,    attribute_count, tensors,
                             tensor_count, record,        attribute_offset};
  memset(node.params, 0, sizeof node.params);
  GRUCORE_TRY(node.kind->parse(source, node.params));
  written.writer = index;
  *tensor += tensor_count;
  reader.blame_nobody();
  return Status::kOk;
}

Status parse_test_tensor(const Reader& reader, const Tensor& tensor, Role role, const Value& value, uint32_t* frames) {
  const size_t record = tensor.record_offset;
  if (tensor.role != static_cast<uint32_t>(role)) {
    return reader.refuse(Status::kUnknownRole, record, tensor.role, static_cast<uint32_t>(role));
  }
  reader.blame_tensor(tensor.role);
  if (static_cast<uint32_t>(tensor.dtype) != static_cast<uint32_t>(value.dtype)) {
    return reader.refuse(Status::kBadShape, record + 4, static_cast<uint32_t>(tensor.dtype),
                         static_cast<uint32_t>(value.dtype));
  }
  if (tensor.layout != Layout::kRowMajor) {
    return reader.refuse(Status::kBadShape, record + 8, static_cast<uint32_t>(tensor.layout), 1);
  }
  const uint32_t rank = value.rate == Rate::kSequence ? 1 : 2;
  if (tensor.rank != rank) return reader.refuse(Status::kBadShape, record + 12, tensor.rank, rank);
  if (tensor.shape[rank - 1] != value.features) {
    return reader.refuse(Status::kBadShape, record + 12 + 4 * size_t{rank}, tensor.shape[rank - 1], value.features);
  }
  if (rank == 2) {
    if (*frames == 0) *frames = tensor.shape[0];
    const uint64_t values = Clock{value.skip, value.period}.count(*frames);
    if (tensor.shape[0] != values) return reader.refuse_wide(Status::kBadShape, record + 16, tensor.shape[0], values);
  }
  reader.blame_tensor(kNone);
  return Status::kOk;
}

Status parse_test_vector(const Reader& reader, const Header& header, const Sections& at, const ModelMemory& memory,
                         uint32_t first) {
  Model& model = *memory.model;
  model.first_test_tensor = first;
  model.test_frames = 0;
  const uint32_t left = header.tensor_count - first;
  if (left == 0) return Status::kOk;
  const uint32_t needed = header.input_count + header.output_count;
  if (left != needed) {
    return reader.refuse(Status::kMissingTensor, at.tensors + size_t{first} * kTensorBytes, left, needed);
  }
  for (uint32_t i = 0; i < needed; ++i) {
    const bool is_input = i < header.input_count;
    const uint32_t value = is_input ? model.inputs[i] : model.outputs[i - header.input_count];
    GRUCORE_TRY(parse_test_tensor(reader, memory.tensors[first + i], is_input ? Role::kTestInput : Role::kTestOutput,
                                  memory.values[value], &model.test_frames));
  }
  return Status::kOk;
}

}  // namespace

Status parse_graph(const Reader& reader, const Header& header, const Sections& at, const ModelMemory& memory) {
  Cursor cursor = {reader, header, at, memory.words, 0, node_names(header, at, memory.values)};
  GRUCORE_TRY(parse_ports(&cursor, memory));
  uint32_t tensor = 0;
  for (uint32_t i = 0; i < header.node_count; ++i) GRUCORE_TRY(parse_node(&cursor, memory, i, &tensor));
  if (cursor.word != header.word_count) {
    return reader.refuse(Status::kGap, cursor.word_offset(cursor.word), header.word_count, cursor.word);
  }
  const size_t name_end = at.names + header.name_bytes;
  if (cursor.name != name_end) return reader.refuse(Status::kGap, cursor.name, name_end, cursor.name);
  for (uint32_t i = 0; i < header.value_count; ++i) {
    if (memory.values[i].writer == kUnwritten) {
      return reader.refuse(Status::kValueNotWritten, at.values + size_t{i} * kValueBytes, i, 1);
    }
  }
  return parse_test_vector(reader, header, at, memory, tensor);
}

}  // namespace detail
}  // namespace grucore
