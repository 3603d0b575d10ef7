// The spectrum of each frame: power, magnitude, or real and imaginary parts.
// SPDX-License-Identifier: Apache-2.0
#include "layers/spectrum.h"

namespace grucore {
namespace detail {

namespace {

struct RfftParams {
  Transform transform;
  Spectrum form;
};

const RfftParams& of(const void* params) { return *static_cast<const RfftParams*>(params); }

Status parse(const NodeSource& source, void* out) {
  RfftParams& params = *new_params<RfftParams>(out);
  GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  GRUCORE_TRY(source.expect_same_clock(0));
  GRUCORE_TRY(source.expect_attributes(2));
  uint32_t form = 0;
  GRUCORE_TRY(source.attribute(0, 2, &form));
  GRUCORE_TRY(params.transform.parse_length(source, 1));
  params.form = static_cast<Spectrum>(form);
  if (source.input(0).features > params.transform.length) {
    return source.refuse(Status::kBadShape, source.input(0).features, params.transform.length);
  }
  const uint32_t features = params.transform.bins() * (params.form == Spectrum::kComplex ? 2 : 1);
  if (source.result().features != features) {
    return source.refuse(Status::kBadShape, source.result().features, features);
  }
  return params.transform.parse_roots(source);
}

uint64_t scratch_floats(const void* params, const KernelTable&, uint32_t, uint32_t) {
  return rfft_scratch(of(params).transform.rows, of(params).transform.columns);
}

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const RfftParams& p = node.as<RfftParams>();
  const Transform& t = p.transform;
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  RfftArgs args = {t.length, t.rows, t.columns, p.form, t.roots, nullptr, x.features, nullptr, memory.scratch};
  for (uint32_t i = 0; i < block.in.all->count; ++i) {
    const size_t row = row_of(*block.in.all, i);
    args.x = x.data + row * x.stride;
    args.y = y.data + row * y.stride;
    block.table->floats->rfft(args);
  }
}

constexpr LayerKind make() {
  LayerKind kind = {21, "rfft", parse, run};
  kind.scratch_floats = scratch_floats;
  return kind;
}

}  // namespace

extern const LayerKind kRfftLayer;
const LayerKind kRfftLayer = make();

}  // namespace detail
}  // namespace grucore
