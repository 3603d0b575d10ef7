// Loops: the nodes between one that reads a later node's value and that node.
// SPDX-License-Identifier: Apache-2.0
#include "layers/layer.h"
#include "model/parse.h"

namespace grucore {
namespace detail {

namespace {

// Joins loops that share nodes: the first ones begin first.
uint32_t collect(const Header& header, const ModelMemory& memory) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < header.node_count; ++i) {
    Node& node = memory.nodes[i];
    const uint32_t writer = memory.values[node.inputs[0]].writer;
    node.is_fed_back = kHasLoops && node.kind->close_frame && writer != kNobody && writer >= i;
    if (!node.is_fed_back) continue;
    if (count == 0 || memory.loops[count - 1].last < i) {
      memory.loops[count++] = {i, writer};
    } else if (memory.loops[count - 1].last < writer) {
      memory.loops[count - 1].last = writer;
    }
  }
  return count;
}

// A loop runs frame by frame, so its values have one clock and its nodes do not read the future.
Status check_loop(const Reader& reader, const Sections& at, const ModelMemory& memory, const Loop& loop) {
  const Value& clock = memory.values[memory.nodes[loop.first].output];
  for (uint32_t i = loop.first; i <= loop.last; ++i) {
    const Node& node = memory.nodes[i];
    const size_t record = at.nodes + size_t{i} * kNodeBytes;
    reader.blame_node(i, node.name);
    if (node.kind->reads_future && node.kind->reads_future(node.params)) {
      return reader.refuse(Status::kBadOrder, record, node.kind->number, 0);
    }
    for (uint32_t k = 0; k <= node.input_count; ++k) {
      const Value& value = memory.values[k < node.input_count ? node.inputs[k] : node.output];
      if (value.rate != clock.rate || value.period != clock.period || value.skip != clock.skip) {
        return reader.refuse(Status::kBadOrder, record, value.period, clock.period);
      }
    }
  }
  reader.blame_nobody();
  return Status::kOk;
}

// Which values belong to a loop, come into one and leave one.
void mark_values(const Header& header, const ModelMemory& memory, uint32_t count) {
  for (uint32_t i = 0; i < header.value_count; ++i) {
    memory.values[i].loop = kNobody;
    memory.values[i].is_looped = false;
    memory.values[i].leaves_loop = false;
  }
  if (!kHasLoops) return;
  for (uint32_t l = 0; l < count; ++l) {
    for (uint32_t i = memory.loops[l].first; i <= memory.loops[l].last; ++i) {
      Value& output = memory.values[memory.nodes[i].output];
      output.loop = l;
      output.is_looped = true;
    }
  }
  for (uint32_t i = 0; i < header.node_count; ++i) {
    const Node& node = memory.nodes[i];
    for (uint32_t k = 0; k < node.input_count; ++k) {
      Value& value = memory.values[node.inputs[k]];
      const uint32_t loop = memory.values[node.output].loop;
      if (loop != kNobody) value.is_looped = true;
      if (value.loop != kNobody && value.loop != loop) value.leaves_loop = true;
    }
  }
  for (uint32_t i = 0; i < header.output_count; ++i) {
    Value& value = memory.values[memory.model->outputs[i]];
    if (value.loop != kNobody) value.leaves_loop = true;
  }
}

}  // namespace

Status find_loops(const Reader& reader, const Header& header, const Sections& at, const ModelMemory& memory) {
  const uint32_t count = collect(header, memory);
  for (uint32_t i = 0; kHasLoops && i < count; ++i) GRUCORE_TRY(check_loop(reader, at, memory, memory.loops[i]));
  mark_values(header, memory, count);
  memory.model->loop_count = count;
  return Status::kOk;
}

}  // namespace detail
}  // namespace grucore
