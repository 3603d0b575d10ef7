// The slow and obvious twin: a GRU, a dense layer and a packer, as a textbook would write them.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_TESTS_TEXTBOOK_H_
#define GRUCORE_TESTS_TEXTBOOK_H_

#include <math.h>
#include <stdint.h>

#include <random>
#include <vector>

namespace textbook {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

// Weights in logical form: rows of gates r, z, n. bias: r, z, n, and reset-after: the recurrent one of n.
struct Gru {
  uint32_t input_size = 0, hidden_size = 0;
  bool reset_before = false, reverse = false;
  Floats weight_ih, weight_hh, bias;

  double ih(uint32_t gate, uint32_t row, uint32_t k) const {
    return weight_ih[(gate * size_t{hidden_size} + row) * input_size + k];
  }
  double hh(uint32_t gate, uint32_t row, uint32_t k) const {
    return weight_hh[(gate * size_t{hidden_size} + row) * hidden_size + k];
  }
};

inline Gru random_gru(uint32_t input_size, uint32_t hidden_size, bool reset_before, bool reverse, uint32_t seed) {
  std::mt19937 random(seed);
  const float bound = 1.0f / sqrtf(static_cast<float>(hidden_size));
  std::uniform_real_distribution<float> uniform(-bound, bound);
  Gru gru;
  gru.input_size = input_size;
  gru.hidden_size = hidden_size;
  gru.reset_before = reset_before;
  gru.reverse = reverse;
  gru.weight_ih.resize(3 * size_t{hidden_size} * input_size);
  gru.weight_hh.resize(3 * size_t{hidden_size} * hidden_size);
  gru.bias.resize((reset_before ? 3 : 4) * size_t{hidden_size});
  for (float& w : gru.weight_ih) w = uniform(random);
  for (float& w : gru.weight_hh) w = uniform(random);
  for (float& w : gru.bias) w = uniform(random);
  return gru;
}

inline double sigmoid(double x) { return 1 / (1 + exp(-x)); }

inline void step(const Gru& gru, const double* x, Doubles* h) {
  const uint32_t hidden = gru.hidden_size;
  Doubles r(hidden), z(hidden), next(hidden);
  for (uint32_t i = 0; i < hidden; ++i) {
    double sum_r = gru.bias[i], sum_z = gru.bias[hidden + i];
    for (uint32_t k = 0; k < gru.input_size; ++k) sum_r += gru.ih(0, i, k) * x[k];
    for (uint32_t k = 0; k < gru.input_size; ++k) sum_z += gru.ih(1, i, k) * x[k];
    for (uint32_t k = 0; k < hidden; ++k) sum_r += gru.hh(0, i, k) * (*h)[k];
    for (uint32_t k = 0; k < hidden; ++k) sum_z += gru.hh(1, i, k) * (*h)[k];
    r[i] = sigmoid(sum_r);
    z[i] = sigmoid(sum_z);
  }
  for (uint32_t i = 0; i < hidden; ++i) {
    double input = gru.bias[2 * size_t{hidden} + i],
           recurrent = gru.reset_before ? 0 : gru.bias[3 * size_t{hidden} + i];
    for (uint32_t k = 0; k < gru.input_size; ++k) input += gru.ih(2, i, k) * x[k];
    for (uint32_t k = 0; k < hidden; ++k) recurrent += gru.hh(2, i, k) * (*h)[k] * (gru.reset_before ? r[k] : 1.0);
    const double n = tanh(gru.reset_before ? input + recurrent : input + r[i] * recurrent);
    next[i] = z[i] * (*h)[i] + (1 - z[i]) * n;
  }
  *h = next;
}

// x: (frames, input_size) -> (frames, hidden_size), from and into *h.
inline Doubles run(const Gru& gru, const Doubles& x, uint32_t frames, Doubles* h) {
  Doubles y(size_t{frames} * gru.hidden_size);
  for (uint32_t i = 0; i < frames; ++i) {
    const uint32_t t = gru.reverse ? frames - 1 - i : i;
    step(gru, &x[size_t{t} * gru.input_size], h);
    for (uint32_t j = 0; j < gru.hidden_size; ++j) y[size_t{t} * gru.hidden_size + j] = (*h)[j];
  }
  return y;
}

// docs/format.md, layout panel16: appends panel after panel, k after k, gate after gate, row after row.
inline Floats pack_panel16(const float* matrix, uint32_t gates, uint32_t rows, uint32_t k_count) {
  Floats packed;
  for (uint32_t first = 0; first < rows; first += 16) {
    const uint32_t left = rows - first;
    const uint32_t width = left >= 16 ? 16 : (left + 3) / 4 * 4;
    for (uint32_t k = 0; k < k_count; ++k) {
      for (uint32_t gate = 0; gate < gates; ++gate) {
        for (uint32_t row = first; row < first + width; ++row) {
          packed.push_back(row < rows ? matrix[(gate * size_t{rows} + row) * k_count + k] : 0.0f);
        }
      }
    }
  }
  return packed;
}

}  // namespace textbook

#endif  // GRUCORE_TESTS_TEXTBOOK_H_
