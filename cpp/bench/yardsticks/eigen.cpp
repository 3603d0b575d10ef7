// A GRU of fixed-size Eigen matrices, as one would write it by hand.
// SPDX-License-Identifier: Apache-2.0
#define EIGEN_STACK_ALLOCATION_LIMIT 0  // the large ones stand on the heap
#include <Eigen/Dense>
#include <array>

#include "sizes.h"

namespace {

using Eigen::Dynamic;
template <int kRows, int kColumns>
using Matrix = Eigen::Matrix<float, kRows, kColumns>;

// States are columns: one for each row of a batch.
template <int kInputs, int kHidden, int kBatch>
class Cell {
 public:
  using States = Matrix<kHidden, kBatch>;
  using Gates = Matrix<3 * kHidden, kBatch>;

  void set(const yardstick::Layer& layer, int batch) {
    using Eigen::Map;
    weight_ih_ =
        Map<const Eigen::Matrix<float, 3 * kHidden, kInputs, kInputs == 1 ? Eigen::ColMajor : Eigen::RowMajor>>(
            layer.weight_ih);
    weight_hh_ = Map<const Eigen::Matrix<float, 3 * kHidden, kHidden, Eigen::RowMajor>>(layer.weight_hh);
    bias_ih_ = Map<const Matrix<3 * kHidden, 1>>(layer.bias_ih);
    bias_hh_ = Map<const Matrix<3 * kHidden, 1>>(layer.bias_hh);
    h.resize(kHidden, batch);
    from_h_.resize(3 * kHidden, batch);
  }
  template <class Inputs, class Sums>
  void project(const Inputs& x, Sums& sums) const {
    sums.noalias() = weight_ih_ * x;
    sums.colwise() += bias_ih_;
  }
  template <class Sums>
  void step(const Sums& from_x) {
    from_h_.noalias() = weight_hh_ * h;
    from_h_.colwise() += bias_hh_;
    gates_ = (from_x.template topRows<2 * kHidden>() + from_h_.template topRows<2 * kHidden>()).array().logistic();
    const auto r = gates_.template topRows<kHidden>();
    const auto z = gates_.template bottomRows<kHidden>();
    candidate_ =
        (from_x.template bottomRows<kHidden>().array() + r * from_h_.template bottomRows<kHidden>().array()).tanh();
    h = (candidate_ + z * (h.array() - candidate_)).matrix();
  }

  States h;

 private:
  Matrix<3 * kHidden, kInputs> weight_ih_;
  Matrix<3 * kHidden, kHidden> weight_hh_;
  Matrix<3 * kHidden, 1> bias_ih_, bias_hh_;
  Gates from_h_;
  Eigen::Array<float, 2 * kHidden, kBatch> gates_;
  Eigen::Array<float, kHidden, kBatch> candidate_;
};

// The layers of a network, each of which keeps its own state.
template <int kInputs, int kHidden, int kLayers, int kBatch>
class Layers {
 public:
  Layers(const YardstickNetwork& network, int batch) {
    first_.set(yardstick::layer_of(network, 0), batch);
    for (int i = 1; i < kLayers; ++i) deeper_[i - 1].set(yardstick::layer_of(network, static_cast<uint32_t>(i)), batch);
    sums_.resize(3 * kHidden, batch);
  }
  void reset() {
    first_.h.setZero();
    for (auto& cell : deeper_) cell.h.setZero();
  }
  void step(const float* x, float* y) {
    first_.project(Eigen::Map<const Matrix<kInputs, kBatch>>(x, kInputs, first_.h.cols()), sums_);
    first_.step(sums_);
    const auto* h = &first_.h;
    if constexpr (kLayers > 1) {
      for (auto& cell : deeper_) {
        cell.project(*h, sums_);
        cell.step(sums_);
        h = &cell.h;
      }
    }
    Eigen::Map<Matrix<kHidden, kBatch>>(y, kHidden, h->cols()) = *h;
  }
  // Layer after layer, the inputs of all frames as one product.
  void run(const float* x, float* y, int frames) {
    const int batch = static_cast<int>(first_.h.cols());
    all_.resize(3 * kHidden, frames * batch);
    reset();
    first_.project(Eigen::Map<const Matrix<kInputs, Dynamic>>(x, kInputs, frames * batch), all_);
    frames_of(first_, y, frames, batch);
    if constexpr (kLayers > 1) {
      for (auto& cell : deeper_) {
        cell.project(Eigen::Map<const Matrix<kHidden, Dynamic>>(y, kHidden, frames * batch), all_);
        frames_of(cell, y, frames, batch);
      }
    }
  }

 private:
  template <class OfLayer>
  void frames_of(OfLayer& cell, float* y, int frames, int batch) {
    for (int t = 0; t < frames; ++t, y += kHidden * batch) {
      cell.step(all_.template middleCols<kBatch>(t * batch, batch));
      Eigen::Map<Matrix<kHidden, kBatch>>(y, kHidden, batch) = cell.h;
    }
  }

  Cell<kInputs, kHidden, kBatch> first_;
  std::array<Cell<kHidden, kHidden, kBatch>, kLayers - 1> deeper_;
  Matrix<3 * kHidden, kBatch> sums_;
  Matrix<3 * kHidden, Dynamic> all_;
};

template <int kInputs, int kHidden, int kLayers>
class Gru final : public yardstick::Contender {
 public:
  explicit Gru(const YardstickNetwork& network) : frames_(static_cast<int>(network.frames)) {
    if (network.batch == 1) {
      one_ = std::make_unique<Layers<kInputs, kHidden, kLayers, 1>>(network, 1);
    } else {
      many_ = std::make_unique<Layers<kInputs, kHidden, kLayers, Dynamic>>(network, static_cast<int>(network.batch));
    }
  }
  void reset() override { one_ ? one_->reset() : many_->reset(); }
  void step(const float* x, float* y) override { one_->step(x, y); }
  void run(const float* x, float* y) override { one_ ? one_->run(x, y, frames_) : many_->run(x, y, frames_); }

 private:
  std::unique_ptr<Layers<kInputs, kHidden, kLayers, 1>> one_;
  std::unique_ptr<Layers<kInputs, kHidden, kLayers, Dynamic>> many_;
  int frames_;
};

}  // namespace

std::unique_ptr<yardstick::Contender> yardstick::make(const YardstickNetwork& network) {
  expect_plain(network);
  return make_of_size<Gru>(network);
}
