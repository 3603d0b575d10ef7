// The samples of each frame's spectrum, of the real parts of all bins and then the imaginary parts.
// SPDX-License-Identifier: Apache-2.0
#include "layers/spectrum.h"

namespace grucore {
namespace detail {

namespace {

const Transform& of(const void* params) { return *static_cast<const Transform*>(params); }

Status parse(const NodeSource& source, void* out) {
  Transform& transform = *new_params<Transform>(out);
  GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  GRUCORE_TRY(source.expect_same_clock(0));
  GRUCORE_TRY(source.expect_attributes(1));
  GRUCORE_TRY(transform.parse_length(source, 0));
  if (source.input(0).features != 2 * transform.bins()) {
    return source.refuse(Status::kBadShape, source.input(0).features, 2 * transform.bins());
  }
  if (source.result().features != transform.length) {
    return source.refuse(Status::kBadShape, source.result().features, transform.length);
  }
  return transform.parse_roots(source);
}

uint64_t scratch_floats(const void* params, const KernelTable&, uint32_t, uint32_t) {
  return rfft_scratch(of(params).rows, of(params).columns);
}

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const Transform& t = node.as<Transform>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  RfftArgs args = {t.length, t.rows, t.columns, Spectrum::kComplex, t.roots, nullptr, 0, nullptr, memory.scratch};
  for (uint32_t i = 0; i < block.in.all->count; ++i) {
    const size_t row = row_of(*block.in.all, i);
    args.x = x.data + row * x.stride;
    args.y = y.data + row * y.stride;
    block.table->floats->irfft(args);
  }
}

constexpr LayerKind make() {
  LayerKind kind = {23, "irfft", parse, run};
  kind.scratch_floats = scratch_floats;
  return kind;
}

}  // namespace

extern const LayerKind kIrfftLayer;
const LayerKind kIrfftLayer = make();

}  // namespace detail
}  // namespace grucore
