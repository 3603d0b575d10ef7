// The LSTM and the plain recurrent layer as a textbook would write them, in double, with weights of any kind.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_TESTS_TEXTBOOK_GATES_H_
#define GRUCORE_TESTS_TEXTBOOK_GATES_H_

#include <string>

#include "textbook_quantized.h"

namespace textbook {

struct Activation {
  uint32_t code = 0;
  float alpha = 0, beta = 0;

  double operator()(double x) const {
    const auto clip = [](double v, double least, double most) { return std::min(most, std::max(least, v)); };
    switch (code) {
      case 1: return sigmoid(x);
      case 2: return tanh(x);
      case 3: return std::max(x, 0.0);
      case 4: return x < 0 ? alpha * x : x;
      case 5: return x < 0 ? alpha * expm1(x) : x;
      case 6: return clip(alpha * x + beta, 0, 1);
      case 7: return x / (1 + fabs(x));
      case 8: return log1p(exp(x));
      case 9: return x / 2 * (1 + erf(x / sqrt(2)));
      case 10: return x / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
      case 11: return x * sigmoid(x);
      case 12: return x * clip(x / 6 + 0.5, 0, 1);
      case 13: return clip(x, alpha, beta);
      case 14: return exp(x);
      default: return x;
    }
  }
  void put(std::vector<uint32_t>* words) const {
    uint32_t a, b;
    memcpy(&a, &alpha, 4);
    memcpy(&b, &beta, 4);
    words->insert(words->end(), {code, a, b});
  }
};

// One direction of an LSTM (gates i, f, g, o), or of a plain layer, which has one gate and `candidate`.
struct Gates {
  bool is_lstm = true, reverse = false, masked_is_zero = false;
  Matrix ih, hh;
  Floats bias;  // (gates, hidden)
  Activation gate = {1}, candidate = {2}, cell = {2};
  Floats initial_h, initial_c;  // empty: zeros
  float input_range = 0;

  uint32_t gates() const { return is_lstm ? 4 : 1; }
  uint32_t hidden() const { return ih.rows; }

  struct State {
    Doubles h, c;
  };
  State initial() const {
    State state = {Doubles(hidden(), 0.0), Doubles(hidden(), 0.0)};
    if (!initial_h.empty()) state.h = Doubles(initial_h.begin(), initial_h.end());
    if (!initial_c.empty()) state.c = Doubles(initial_c.begin(), initial_c.end());
    return state;
  }

  void step(const float* x, State* state) const {
    Doubles sums(size_t{gates()} * hidden());
    for (size_t row = 0; row < sums.size(); ++row) {
      double sum = bias[row];
      for (uint32_t k = 0; k < ih.inputs; ++k) sum += ih.value(row, k) * x[k];
      for (uint32_t k = 0; k < hidden(); ++k) sum += hh.value(row, k) * state->h[k];
      sums[row] = sum;
    }
    const size_t n = hidden();
    for (size_t i = 0; i < n; ++i) {
      if (!is_lstm) {
        state->h[i] = candidate(sums[i]);
        continue;
      }
      state->c[i] = gate(sums[n + i]) * state->c[i] + gate(sums[i]) * candidate(sums[2 * n + i]);
      state->h[i] = gate(sums[3 * n + i]) * cell(state->c[i]);
    }
  }
  // (frames, hidden); `open`: where not, the state stays (null: everywhere open).
  Doubles run(const float* x, uint32_t frames, State* state, const int32_t* open = nullptr) const {
    Doubles y(size_t{frames} * hidden());
    for (uint32_t i = 0; i < frames; ++i) {
      const uint32_t t = reverse ? frames - 1 - i : i;
      const bool is_open = !open || open[t] != 0;
      if (is_open) step(x + size_t{t} * ih.inputs, state);
      for (uint32_t j = 0; j < hidden(); ++j) {
        y[size_t{t} * hidden() + j] = is_open || !masked_is_zero ? state->h[j] : 0;
      }
    }
    return y;
  }

  void put(grucore_test::FileBuilder* file, const std::string& name, const std::vector<uint32_t>& inputs,
           uint32_t y) const {
    uint32_t tensors = 3;
    put_weights(file, 1, ih);
    put_weights(file, 2, hh);
    file->tensor(4, gates(), hidden(), 0, bias.data());
    if (!initial_h.empty()) file->vector_tensor(6, initial_h);
    tensors += put_scale(file, 12, ih);
    tensors += put_scale(file, 13, hh);
    if (input_range > 0) file->vector_tensor(17, {input_range});
    if (!initial_c.empty()) file->vector_tensor(18, initial_c);
    tensors += (initial_h.empty() ? 0 : 1) + (input_range > 0 ? 1 : 0) + (initial_c.empty() ? 0 : 1);
    std::vector<uint32_t> words = {reverse ? 1u : 0u, masked_is_zero ? 1u : 0u};
    if (is_lstm) gate.put(&words);
    candidate.put(&words);
    if (is_lstm) cell.put(&words);
    file->node(is_lstm ? 17 : 18, name, inputs, y, words, tensors);
  }
};

inline Gates random_gates(bool is_lstm, const WeightKind& in, const WeightKind& recurrent, uint32_t inputs,
                          uint32_t hidden, std::mt19937* random) {
  Gates layer;
  layer.is_lstm = is_lstm;
  layer.ih = random_matrix(in.kind, in.bits, layer.gates(), hidden, inputs, random);
  layer.hh = random_matrix(recurrent.kind, recurrent.bits, layer.gates(), hidden, hidden, random);
  layer.bias.resize(size_t{layer.gates()} * hidden);
  for (float& value : layer.bias) value = 0.25f * (portable_uniform(random) * 2 - 1);
  return layer;
}

inline Floats random_signal(size_t count, float bound, std::mt19937* random) {
  Floats values(count);
  for (float& value : values) value = bound * (portable_uniform(random) * 2 - 1);
  return values;
}

}  // namespace textbook

#endif  // GRUCORE_TESTS_TEXTBOOK_GATES_H_
