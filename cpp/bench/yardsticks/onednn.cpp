// oneDNN's GRU: float32 and bfloat16 with reset-after, int8 with reset-before, which is the only cell that it has
// there. SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include <cmath>
#include <oneapi/dnnl/dnnl.hpp>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "yardstick.h"

namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;
using Dims = memory::dims;

struct Types {
  Type values, weights;
};
Types types_of(const std::string& weights) {
  if (weights == "float32") return {Type::f32, Type::f32};
  if (weights == "bfloat16") return {Type::bf16, Type::bf16};
  if (weights == "int8") return {Type::u8, Type::s8};
  throw std::invalid_argument("no weights \"" + weights + "\"");
}

// Bytes that stand for the range of inputs and states, one scale for both.
constexpr float kRange = 4.5f, kScale = 127.0f / kRange, kShift = 128.0f;

class Gru final : public yardstick::Contender {
 public:
  explicit Gru(const YardstickNetwork& network)
      : network_(network), types_(types_of(network.weights)), is_int8_(types_.weights == Type::s8) {
    if (is_int8_ != (network.reset_before != 0)) {
      throw std::invalid_argument(is_int8_ ? "int8 for the reset-before cell alone" : "the reset-after cell alone");
    }
    const int64_t inputs = network.input_size, hidden = network.hidden_size;
    frames_ = network.frames ? network.frames : 1;
    x_ = memory({{frames_, network.batch, inputs}, types_.values, Tag::tnc}, engine_);
    for (uint32_t i = 0; i < network.layers; ++i) {
      add_layer(yardstick::layer_of(network, i), i ? layers_[i - 1].y : x_, hidden);
    }
  }
  void reset() override {
    for (OfLayer& layer : layers_) {
      const size_t bytes = layer.state.get_desc().get_size();
      memset(layer.state.get_data_handle(), is_int8_ ? 128 : 0, bytes);
    }
  }
  void step(const float* x, float* y) override {
    put(x, x_);
    for (OfLayer& layer : layers_) {
      layer.gru.execute(stream_, layer.arguments);
      memcpy(layer.state.get_data_handle(), layer.next.get_data_handle(), layer.next.get_desc().get_size());
    }
    stream_.wait();
    take(layers_.back().y, y);
  }
  void run(const float* x, float* y) override {
    reset();
    step(x, y);
  }

 private:
  struct OfLayer {
    memory y, state, next;
    dnnl::primitive gru;
    std::unordered_map<int, memory> arguments;
  };

  static size_t count_of(const memory& of) {
    size_t count = 1;
#if DNNL_VERSION_MAJOR >= 3
    const Dims dims = of.get_desc().get_dims();
#else
    const Dims dims = of.get_desc().dims();
#endif
    for (const int64_t size : dims) count *= static_cast<size_t>(size);
    return count;
  }
  // Floats into the type that the network reads, and back.
  void put(const float* x, const memory& to) const {
    const size_t count = count_of(to);
    if (types_.values == Type::f32) {
      memcpy(to.get_data_handle(), x, count * sizeof(float));
    } else if (is_int8_) {
      auto* bytes = static_cast<uint8_t*>(to.get_data_handle());
      for (size_t i = 0; i < count; ++i) {
        bytes[i] = static_cast<uint8_t>(std::lrintf(std::fmin(std::fmax(x[i] * kScale + kShift, 0.0f), 255.0f)));
      }
    } else {
      auto* halves = static_cast<uint16_t*>(to.get_data_handle());
      for (size_t i = 0; i < count; ++i) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        halves[i] = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
      }
    }
  }
  void take(const memory& from, float* y) const {
    const size_t count = count_of(from);
    if (types_.values == Type::f32) {
      memcpy(y, from.get_data_handle(), count * sizeof(float));
    } else if (is_int8_) {
      const auto* bytes = static_cast<const uint8_t*>(from.get_data_handle());
      for (size_t i = 0; i < count; ++i) y[i] = (static_cast<float>(bytes[i]) - kShift) / kScale;
    } else {
      const auto* halves = static_cast<const uint16_t*>(from.get_data_handle());
      for (size_t i = 0; i < count; ++i) {
        const uint32_t bits = uint32_t{halves[i]} << 16;
        memcpy(y + i, &bits, sizeof bits);
      }
    }
  }

  memory reordered(memory from, const memory::desc& to, const dnnl::primitive_attr& attributes) {
    memory result(to, engine_);
    dnnl::reorder(dnnl::reorder::primitive_desc(from, result, attributes)).execute(stream_, from, result);
    stream_.wait();
    return result;
  }
  // A matrix of the gates r, z, n as one of z, r, n: (gates * hidden, columns), as oneDNN's order is.
  static std::vector<float> in_order(const float* from, int64_t hidden, int64_t columns) {
    const auto gate = static_cast<size_t>(hidden * columns);
    std::vector<float> to(3 * gate);
    memcpy(to.data(), from + gate, gate * sizeof(float));
    memcpy(to.data() + gate, from, gate * sizeof(float));
    memcpy(to.data() + 2 * gate, from + 2 * gate, gate * sizeof(float));
    return to;
  }

  void add_layer(const yardstick::Layer& layer, const memory& x, int64_t hidden) {
    const int64_t inputs = layer.inputs, batch = network_.batch, bias_gates = is_int8_ ? 3 : 4;
    std::vector<float> ih = in_order(layer.weight_ih, hidden, inputs), hh = in_order(layer.weight_hh, hidden, hidden),
                       bias = in_order(layer.bias_ih, hidden, 1), bias_hh = in_order(layer.bias_hh, hidden, 1);
    const auto size = static_cast<size_t>(hidden);
    for (size_t i = 0; i < (is_int8_ ? 3 : 2) * size; ++i) bias[i] += bias_hh[i];
    if (!is_int8_) bias.insert(bias.end(), bias_hh.begin() + static_cast<ptrdiff_t>(2 * size), bias_hh.end());

    const Dims states = {1, 1, batch, hidden};
    const memory::desc y({frames_, batch, hidden}, types_.values, Tag::tnc), state(states, types_.values, Tag::ldnc),
        any_ih({1, 1, inputs, 3, hidden}, types_.weights, Tag::any),
        any_hh({1, 1, hidden, 3, hidden}, types_.weights, Tag::any),
        biases({1, 1, bias_gates, hidden}, Type::f32, Tag::ldgo);
    dnnl::primitive_attr attributes;
    if (is_int8_) {
      attributes.set_rnn_data_qparams(kScale, kShift);
      // One scale for each output: what both matrices of it need.
      std::vector<float> scales(3 * size);
      for (size_t row = 0; row < 3 * size; ++row) {
        float most = 1e-9f;
        for (int64_t k = 0; k < inputs; ++k) most = std::fmax(most, std::fabs(ih[row * layer.inputs + k]));
        for (size_t k = 0; k < size; ++k) most = std::fmax(most, std::fabs(hh[row * size + k]));
        scales[row] = 127.0f / most;
      }
      attributes.set_rnn_weights_qparams((1 << 3) + (1 << 4), scales);
    }
    const auto forward = dnnl::prop_kind::forward_inference;
    const auto direction = dnnl::rnn_direction::unidirectional_left2right;
    OfLayer made;
    memory::desc weights_ih, weights_hh;
    const auto build = [&](auto kind) {
      using Kind = decltype(kind);
#if DNNL_VERSION_MAJOR >= 3
      const typename Kind::primitive_desc pd(engine_, forward, direction, x.get_desc(), state, any_ih, any_hh, biases,
                                             y, state, attributes);
#else
      const typename Kind::primitive_desc pd(
          typename Kind::desc(forward, direction, x.get_desc(), state, any_ih, any_hh, biases, y, state), attributes,
          engine_);
#endif
      weights_ih = pd.weights_layer_desc();
      weights_hh = pd.weights_iter_desc();
      made.gru = Kind(pd);
    };
    is_int8_ ? build(dnnl::gru_forward()) : build(dnnl::lbr_gru_forward());
    made.y = memory(y, engine_);
    made.state = memory(state, engine_);
    made.next = memory(state, engine_);
    // Only matrices of inputs first are made bytes of, by version 3.
    const auto inputs_first = [&](std::vector<float>* from, int64_t columns) {
      const Dims dims = {1, 1, columns, 3, hidden};
      const memory rows_first({dims, Type::f32, Tag::ldgoi}, engine_, from->data());
      return reordered(rows_first, {dims, Type::f32, Tag::ldigo}, {});
    };
    const memory from_ih = inputs_first(&ih, inputs), from_hh = inputs_first(&hh, hidden);
    memory bias_memory(biases, engine_);
    memcpy(bias_memory.get_data_handle(), bias.data(), bias.size() * sizeof(float));
    made.arguments = {{DNNL_ARG_SRC_LAYER, x},
                      {DNNL_ARG_SRC_ITER, made.state},
                      {DNNL_ARG_WEIGHTS_LAYER, reordered(from_ih, weights_ih, attributes)},
                      {DNNL_ARG_WEIGHTS_ITER, reordered(from_hh, weights_hh, attributes)},
                      {DNNL_ARG_BIAS, bias_memory},
                      {DNNL_ARG_DST_LAYER, made.y},
                      {DNNL_ARG_DST_ITER, made.next}};
    layers_.push_back(made);
  }

  YardstickNetwork network_;
  Types types_;
  bool is_int8_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  int64_t frames_;
  memory x_;
  std::vector<OfLayer> layers_;
};

}  // namespace

std::unique_ptr<yardstick::Contender> yardstick::make(const YardstickNetwork& network) {
  return std::make_unique<Gru>(network);
}
