// The tables of a file, checked and copied into the model's arena, one after the other.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_MODEL_PARSE_H_
#define GRUCORE_MODEL_PARSE_H_

#include "format/header.h"
#include "model/model.h"

namespace grucore {
namespace detail {

// The pieces of a model's arena, in their order.
struct ModelMemory {
  Model* model;
  Value* values;
  Node* nodes;
  Tensor* tensors;
  uint32_t* words;
  State* states;
  Clock* clocks;
  Loop* loops;
};

// Values and their names.
Status parse_values(const Reader& reader, const Header& header, const Sections& at, const ModelMemory& memory);
// Tensor records and their data's place; nothing of what they mean.
Status parse_tensors(const Reader& reader, const Header& header, const Sections& at, const ModelMemory& memory);
// The graph: the model's ports, nodes, their names, lists, tensors and layer kinds.
Status parse_graph(const Reader& reader, const Header& header, const Sections& at, const ModelMemory& memory);

// The nodes that run frame by frame, once all nodes are parsed: sets Node::is_fed_back, and the loops of values.
Status find_loops(const Reader& reader, const Header& header, const Sections& at, const ModelMemory& memory);

constexpr bool is_control(unsigned char byte) { return byte < 0x20 || byte == 0x7f; }

// The next name, from *offset on, checked for control characters.
Status parse_name(const Reader& reader, const Sections& at, const Header& header, uint32_t length, size_t length_offset,
                  size_t* offset, Text* out);
// No earlier one has this name, which is in element `index` of an array of elements of `size` bytes.
Status expect_new_name(const Reader& reader, size_t length_offset, const Text& name, uint32_t index, size_t size);
// Where the names of nodes begin, behind those of values.
size_t node_names(const Header& header, const Sections& at, const Value* values);

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_MODEL_PARSE_H_
