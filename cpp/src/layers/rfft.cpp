// The spectrum of each frame: power, magnitude, or real and imaginary parts.
// SPDX-License-Identifier: Apache-2.0
#include "layers/layer.h"

namespace grucore {
namespace detail {

namespace {

constexpr uint32_t kMaxLength = 65536;

struct RfftParams {
  const float* roots;
  uint32_t length;
  uint32_t rows, columns;
  Spectrum form;
};

const RfftParams& of(const void* params) { return *static_cast<const RfftParams*>(params); }

bool is_fast(uint32_t length) {
  for (uint32_t factor = 2; factor <= 5; ++factor) {
    while (length % factor == 0) length /= factor;
  }
  return length == 1;
}

Status parse(const NodeSource& source, void* out) {
  RfftParams& params = *new_params<RfftParams>(out);
  GRUCORE_TRY(source.expect_inputs(1));
  GRUCORE_TRY(source.expect_float32(source.input(0)));
  GRUCORE_TRY(source.expect_same_clock(0));
  GRUCORE_TRY(source.expect_attributes(2));
  uint32_t form = 0;
  GRUCORE_TRY(source.attribute(0, 2, &form));
  GRUCORE_TRY(source.attribute(1, kMaxLength, &params.length));
  if (params.length < 2 || !is_fast(params.length)) {
    return source.reader.refuse(Status::kBadAttribute, source.attribute_offset + 4, params.length, kMaxLength);
  }
  params.form = static_cast<Spectrum>(form);
  if (source.input(0).features > params.length) {
    return source.refuse(Status::kBadShape, source.input(0).features, params.length);
  }
  const uint32_t features = (params.length / 2 + 1) * (params.form == Spectrum::kComplex ? 2 : 1);
  if (source.result().features != features) {
    return source.refuse(Status::kBadShape, source.result().features, features);
  }
  const uint32_t numbers = params.length % 2 ? params.length : params.length / 2;
  // The smallest divisor that is not less than the number of columns that it leaves.
  params.rows = 1;
  while (numbers % params.rows || params.rows < numbers / params.rows) ++params.rows;
  params.columns = numbers / params.rows;

  GRUCORE_TRY(source.expect_tensors(1));
  const Tensor* table = source.find(Role::kTable);
  source.blame(Role::kTable);
  if (!table) return source.refuse(Status::kMissingTensor, 0, 1);
  GRUCORE_TRY(source.expect_tensor(*table, TensorDtype::kFloat32, Layout::kRowMajor, 2));
  const uint32_t shape[2] = {2, params.length};
  for (uint32_t i = 0; i < 2; ++i) {
    if (table->shape[i] == shape[i]) continue;
    return source.reader.refuse(Status::kBadShape, table->record_offset + 16 + 4 * i, table->shape[i], shape[i]);
  }
  source.blame_no_tensor();
  params.roots = static_cast<const float*>(table->data);
  return Status::kOk;
}

uint64_t scratch_floats(const void* params, const KernelTable&, uint32_t, uint32_t) {
  return rfft_scratch(of(params).rows, of(params).columns);
}

void run(const Node& node, const NodeMemory& memory, const Block& block) {
  const RfftParams& p = node.as<RfftParams>();
  const ValueBuffer& x = block.values[node.inputs[0]];
  const ValueBuffer& y = block.values[node.output];
  RfftArgs args = {p.length, p.rows, p.columns, p.form, p.roots, nullptr, x.features, nullptr, memory.scratch};
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
