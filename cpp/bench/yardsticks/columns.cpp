// A GRU of plain loops over the columns of its weights, its sizes known to the compiler.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstring>
#include <vector>

#include "sizes.h"

namespace {

template <int kInputs, int kHidden>
struct Cell {
  alignas(64) float weight_ih[kInputs][3 * kHidden];  // a column after the other
  alignas(64) float weight_hh[kHidden][3 * kHidden];
  alignas(64) float bias_ih[3 * kHidden], bias_hh[3 * kHidden];
  alignas(64) float h[kHidden];

  void set(const yardstick::Layer& layer) {
    for (int row = 0; row < 3 * kHidden; ++row) {
      for (int k = 0; k < kInputs; ++k) weight_ih[k][row] = layer.weight_ih[row * kInputs + k];
      for (int k = 0; k < kHidden; ++k) weight_hh[k][row] = layer.weight_hh[row * kHidden + k];
    }
    memcpy(bias_ih, layer.bias_ih, sizeof bias_ih);
    memcpy(bias_hh, layer.bias_hh, sizeof bias_hh);
  }
  void step(const float* x) {
    alignas(64) float from_x[3 * kHidden], from_h[3 * kHidden];
    memcpy(from_x, bias_ih, sizeof from_x);
    memcpy(from_h, bias_hh, sizeof from_h);
    for (int k = 0; k < kInputs; ++k) {
      for (int i = 0; i < 3 * kHidden; ++i) from_x[i] += weight_ih[k][i] * x[k];
    }
    for (int k = 0; k < kHidden; ++k) {
      for (int i = 0; i < 3 * kHidden; ++i) from_h[i] += weight_hh[k][i] * h[k];
    }
    for (int i = 0; i < kHidden; ++i) {
      const float r = 1.0f / (1.0f + std::exp(-from_x[i] - from_h[i]));
      const float z = 1.0f / (1.0f + std::exp(-from_x[kHidden + i] - from_h[kHidden + i]));
      const float n = std::tanh(from_x[2 * kHidden + i] + r * from_h[2 * kHidden + i]);
      h[i] = n + z * (h[i] - n);
    }
  }
};

template <int kInputs, int kHidden, int kLayers>
class Gru final : public yardstick::Contender {
 public:
  explicit Gru(const YardstickNetwork& network) : frames_(network.frames), deeper_(kLayers - 1) {
    if (network.batch != 1) throw std::invalid_argument("no batches");
    first_.set(yardstick::layer_of(network, 0));
    for (uint32_t i = 1; i < kLayers; ++i) deeper_[i - 1].set(yardstick::layer_of(network, i));
  }
  void reset() override {
    memset(first_.h, 0, sizeof first_.h);
    for (auto& cell : deeper_) memset(cell.h, 0, sizeof cell.h);
  }
  void step(const float* x, float* y) override {
    first_.step(x);
    const float* h = first_.h;
    for (auto& cell : deeper_) {
      cell.step(h);
      h = cell.h;
    }
    memcpy(y, h, sizeof first_.h);
  }
  void run(const float* x, float* y) override {
    reset();
    for (uint32_t t = 0; t < frames_; ++t, x += kInputs, y += kHidden) step(x, y);
  }

 private:
  uint32_t frames_;
  Cell<kInputs, kHidden> first_;
  std::vector<Cell<kHidden, kHidden>> deeper_;
};

}  // namespace

std::unique_ptr<yardstick::Contender> yardstick::make(const YardstickNetwork& network) {
  expect_plain(network);
  return make_of_size<Gru>(network);
}
