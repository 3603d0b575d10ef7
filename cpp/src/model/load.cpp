// From bytes to a model: plan_model and load.
// SPDX-License-Identifier: Apache-2.0
#include "isa/detect.h"
#include "kernels/choose.h"
#include "layers/layer.h"
#include "model/arena.h"
#include "model/parse.h"

namespace grucore {

namespace detail {
namespace {

ModelMemory carve_model(Arena* arena, const Header& header) {
  ModelMemory memory;
  memory.model = arena->take<Model>(1);
  memory.values = arena->take<Value>(header.value_count);
  memory.nodes = arena->take<Node>(header.node_count);
  memory.tensors = arena->take<Tensor>(header.tensor_count);
  memory.words = arena->take<uint32_t>(header.word_count);
  memory.states = arena->take<State>(uint64_t{header.node_count} * kMaxStates);
  memory.clocks = arena->take<Clock>(uint64_t{header.value_count} + 1);
  memory.loops = arena->take<Loop>(header.node_count);
  return memory;
}

Status check_paddings(const Reader& reader, const Header& header, const Sections& at) {
  GRUCORE_TRY(reader.zeros(at.values + size_t{header.value_count} * kValueBytes, at.nodes));
  GRUCORE_TRY(reader.zeros(at.words + size_t{header.word_count} * 4, at.names));
  GRUCORE_TRY(reader.zeros(at.names + header.name_bytes, at.metadata));
  return reader.zeros(at.metadata + header.metadata_bytes, at.data);
}

// The distinct clocks of the values, the every-frame one first.
uint32_t collect_clocks(const Header& header, const ModelMemory& memory) {
  uint32_t count = 1;
  memory.clocks[0] = {0, 1};
  for (uint32_t i = 0; i < header.value_count; ++i) {
    Value& value = memory.values[i];
    value.clock = 0;
    if (value.rate == Rate::kSequence) continue;
    while (value.clock < count &&
           (memory.clocks[value.clock].skip != value.skip || memory.clocks[value.clock].period != value.period)) {
      ++value.clock;
    }
    if (value.clock == count) memory.clocks[count++] = {value.skip, value.period};
  }
  return count;
}

// Appends the states of a node, and sets how much memory a row of them takes.
void collect_states(uint32_t index, Node* node, State* states, uint32_t* count) {
  StateSpec specs[kMaxStates];
  const uint32_t own = node->kind->states ? node->kind->states(node->params, specs) : 0;
  node->state_stride = 0;
  for (uint32_t i = 0; i < own; ++i) {
    states[(*count)++] = {specs[i], index, node->state_stride};
    node->state_stride += round_up(specs[i].size(), kPanel);
  }
}

void finish(const Header& header, const ModelMemory& memory, Model* model) {
  model->values = memory.values;
  model->nodes = memory.nodes;
  model->tensors = memory.tensors;
  model->states = memory.states;
  model->loops = memory.loops;
  model->value_count = header.value_count;
  model->node_count = header.node_count;
  model->input_count = header.input_count;
  model->output_count = header.output_count;
  model->clocks = memory.clocks;
  model->clock_count = collect_clocks(header, memory);
  model->state_count = 0;
  model->first_unstreamable = kNone;
  model->macs_per_frame = 0;
  for (uint32_t i = 0; i < header.node_count; ++i) {
    Node& node = memory.nodes[i];
    collect_states(i, &node, memory.states, &model->state_count);
    if (model->first_unstreamable == kNone && node.kind->reads_future && node.kind->reads_future(node.params)) {
      model->first_unstreamable = i;
    }
    const Value& output = memory.values[node.output];
    if (output.rate != Rate::kSequence && node.kind->macs) {
      model->macs_per_frame += quotient(node.kind->macs(node.params), output.period);
    }
  }
}

// How many ids each value may have, from the embeddings that read it, last nodes first.
void count_ids(const Header& header, const ModelMemory& memory) {
  for (uint32_t i = header.node_count; i > 0; --i) {
    const Node& node = memory.nodes[i - 1];
    const uint32_t ids = node.kind->ids            ? node.kind->ids(node.params)
                         : node.kind->hands_on_ids ? memory.values[node.output].ids
                                                   : 0;
    for (uint32_t k = 0; ids && k < node.input_count; ++k) {
      uint32_t& of_input = memory.values[node.inputs[k]].ids;
      if (of_input == 0 || ids < of_input) of_input = ids;
    }
  }
}

// The class of the model's results, and whether products round their inputs.
void note_products(const Header& header, const ModelMemory& memory, const KernelTable& table, Model* model) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < header.node_count; ++i) {
    const Node& node = memory.nodes[i];
    if (node.kind->products) found |= node.kind->products(node.params);
  }
  model->numerics = found & kFloatProducts ? numerics_of(table.isa) : Numerics::kExact;
  model->rounds_activations = (found & kIntegerProducts) != 0;
}

}  // namespace
}  // namespace detail

Status plan_model(const void* file, size_t file_bytes, MemoryPlan* plan, LoadReport* report) {
  const detail::Reader reader(file, file_bytes, report);
  detail::Header header;
  GRUCORE_TRY(detail::read_header(reader, &header));
  detail::Arena arena;
  detail::carve_model(&arena, header);
  if (arena.overflown()) return reader.refuse(Status::kTooLarge, 0);
  plan->bytes = arena.used();
  return Status::kOk;
}

Status load(const void* file, size_t file_bytes, Isa isa, void* arena_memory, size_t arena_bytes, const Model** out,
            LoadReport* report) {
  const detail::Reader reader(file, file_bytes, report);
  if (!detail::is_aligned(file) || !detail::is_aligned(arena_memory)) {
    return reader.refuse(Status::kMisalignedMemory, 0);
  }
  const detail::KernelTable* table = detail::select_table(isa, detail::detect_cpu());
  if (!table) return reader.refuse(Status::kUnsupportedIsa, 0, static_cast<size_t>(isa));
  detail::Header header;
  GRUCORE_TRY(detail::read_header(reader, &header));
  detail::Arena measured;
  detail::carve_model(&measured, header);
  if (measured.overflown()) return reader.refuse(Status::kTooLarge, 0);
  if (measured.used() > arena_bytes) {
    return reader.refuse(Status::kArenaTooSmall, 0, arena_bytes, measured.used());
  }
  GRUCORE_TRY(detail::check_sum(reader));
  const detail::Sections at = detail::sections_of(header);
  if (at.data > reader.bytes()) return reader.refuse(Status::kTruncated, reader.bytes(), reader.bytes(), at.data);
  GRUCORE_TRY(detail::check_paddings(reader, header, at));
  detail::Arena arena(arena_memory);
  const detail::ModelMemory memory = detail::carve_model(&arena, header);
  Model* model = memory.model;
  GRUCORE_TRY(detail::parse_values(reader, header, at, memory));
  GRUCORE_TRY(detail::parse_tensors(reader, header, at, memory));
  GRUCORE_TRY(detail::parse_graph(reader, header, at, memory));
  GRUCORE_TRY(detail::find_loops(reader, header, at, memory));
  model->table = table;
  model->metadata = {reinterpret_cast<const char*>(reader.at(at.metadata)), header.metadata_bytes};
  detail::note_products(header, memory, *table, model);
  detail::count_ids(header, memory);
  detail::finish(header, memory, model);
  *out = model;
  return Status::kOk;
}

}  // namespace grucore
