// The chains of one instruction set. Included after its kernels' own file, inside their target region.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

alignas(64) F32 memory[20];
const CellActivations kStandard = {{ActivationCode::kSigmoid, 0, 0}, {ActivationCode::kTanh, 0, 0}, true};

void multiply_adds(int n) {
  F32 x = memory[0];
  for (int i = 0; i < n; ++i) x = mul_add(x, x, x);
  memory[0] = x;
}
void stores_and_loads(int n) {
  for (int i = 0; i < n; ++i) {
    memory[i % 2] = memory[1 - i % 2];
    grucore_bench::keep(memory);
  }
}
void sigmoids(int n) {
  F32 x = memory[0];
  for (int i = 0; i < n; ++i) x = sigmoid_f32(x);
  memory[0] = x;
}
void tanhs(int n) {
  F32 x = memory[0];
  for (int i = 0; i < n; ++i) x = tanh_f32(x);
  memory[0] = x;
}
void chained_cells(int n) {
  F32 x = memory[0];
  for (int i = 0; i < n; ++i) x = cell_of_vector(kStandard, x, x, x, x, x);
  memory[0] = x;
}
// The states in memory[16...] are an output here that only themselves depend on, at the cell's very end.
template <class V>
void cells(int n) {
  float* states[4];
  for (int i = 0; i < 4; ++i) states[i] = reinterpret_cast<float*>(memory + 16 + i);
  for (int i = 0; i < n; ++i) {
    cell_of_some<V>(kStandard, memory, memory + 4, memory + 8, memory + 12, states, states);
  }
}

grucore_bench::Chains measure() {
  for (F32& vector : memory) vector = broadcast(0.1f);
  using grucore_bench::least_of;
  return {kLanes,
          least_of(multiply_adds),
          least_of(stores_and_loads),
          least_of(sigmoids),
          least_of(tanhs),
          least_of(chained_cells),
          least_of(cells<F32>),
          least_of(cells<Pair<F32>>) / 2,
          least_of(cells<Pair<Pair<F32>>>) / 4};
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
