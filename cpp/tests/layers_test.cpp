// The layers around a GRU, each against the textbook in double, and the same bits from step and run.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "harness.h"

using namespace grucore_test;

namespace {

constexpr double kMostDifference = 1e-5;  // relative to 1 + |expected|

std::vector<float> random_floats(size_t count, float bound, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-bound, bound);
  std::vector<float> x(count);
  for (float& v : x) v = uniform(random);
  return x;
}

uint32_t bits_of(float x) {
  uint32_t word;
  memcpy(&word, &x, sizeof word);
  return word;
}

using Layer = std::function<void(FileBuilder*, uint32_t x, uint32_t y)>;
using Textbook = std::function<textbook::Doubles(const textbook::Doubles& x)>;  // one frame

Bytes one_layer(uint32_t in, uint32_t out, const Layer& layer) {
  FileBuilder file;
  const uint32_t x = file.value("x", in), y = file.value("y", out);
  file.input(x);
  file.output(y);
  layer(&file, x, y);
  return file.finish();
}

// A layer that maps each frame by itself.
void check_frame_layer(const char* name, uint32_t in, uint32_t out, const Layer& layer, const Textbook& expected) {
  const uint32_t frames = 37, batch = 3;
  const std::vector<float> x = random_floats(size_t{batch} * frames * in, 6.0f, in * 31 + out);
  std::vector<float> first;
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(one_layer(in, out, layer), isa);
    CHECK_SAYING(model.status() == Status::kOk, "%s: %s", name, grucore::status_name(model.status()));
    if (model.status() != Status::kOk) return;
    const std::vector<float> all = run_all(model, batch, 8, frames, x);
    for (size_t row = 0; row < size_t{batch} * frames; ++row) {
      const textbook::Doubles frame(x.begin() + row * in, x.begin() + (row + 1) * in);
      const textbook::Doubles y = expected(frame);
      for (uint32_t f = 0; f < out; ++f) {
        const double got = all[row * out + f];
        CHECK_SAYING(fabs(got - y[f]) <= kMostDifference * (1 + fabs(y[f])), "%s %s in=%u: %g, expected %g", name,
                     grucore::isa_name(isa), in, got, y[f]);
      }
    }
    CHECK(same_bits(step_all(model, frames, x.data()).data(), all.data(), size_t{frames} * out));
    if (first.empty()) first = all;
    if (std::string(name) != "dense")
      CHECK_SAYING(same_bits(first.data(), all.data(), all.size()), "%s %s", name, grucore::isa_name(isa));
  }
}

double clip(double x, double least, double most) { return x < least ? least : x > most ? most : x; }

double activation(uint32_t code, double x, double alpha, double beta) {
  switch (code) {
    case 1: return textbook::sigmoid(x);
    case 2: return tanh(x);
    case 3: return x < 0 ? 0 : x;
    case 4: return x < 0 ? alpha * x : x;
    case 5: return x < 0 ? alpha * expm1(x) : x;
    case 6: return clip(alpha * x + beta, 0, 1);
    case 7: return x / (1 + fabs(x));
    case 8: return log1p(exp(x));
    case 9: return x / 2 * (1 + erf(x / sqrt(2.0)));
    case 10: return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case 11: return x * textbook::sigmoid(x);
    case 12: return x * clip(x / 6 + 0.5, 0, 1);
    case 13: return clip(x, alpha, beta);
    case 14: return exp(x);
    case 15: return beta * log(x < alpha ? alpha : x);
    case 16: return beta * log1p(x < alpha ? alpha : x);
  }
  return x;
}

bool has_beta(uint32_t code) { return code == 6 || code == 13 || code == 15 || code == 16; }
bool has_alpha(uint32_t code) { return code == 4 || code == 5 || code == 6 || has_beta(code); }

void check_activations() {
  for (uint32_t code = 0; code < 17; ++code) {
    const float alpha = code == 13 ? -1.5f : has_alpha(code) ? 0.3f : 0.0f, beta = has_beta(code) ? 0.7f : 0.0f;
    for (const uint32_t features : {1u, 16u, 21u}) {
      check_frame_layer(
          "activation", features, features,
          [&](FileBuilder* file, uint32_t x, uint32_t y) {
            file->node(6, "layer", {x}, y, {code, bits_of(alpha), bits_of(beta)}, 0);
          },
          [&](const textbook::Doubles& x) {
            textbook::Doubles y;
            for (double v : x) y.push_back(activation(code, v, alpha, beta));
            return y;
          });
    }
  }
  const std::vector<float> slope = random_floats(19, 0.5f, 3);
  check_frame_layer(
      "prelu", 19, 19,
      [&](FileBuilder* file, uint32_t x, uint32_t y) {
        file->vector_tensor(10, slope);
        file->node(6, "layer", {x}, y, {4, 0, 0}, 1);
      },
      [&](const textbook::Doubles& x) {
        textbook::Doubles y;
        for (size_t i = 0; i < x.size(); ++i) y.push_back(x[i] < 0 ? slope[i] * x[i] : x[i]);
        return y;
      });
}

void check_norms() {
  for (const uint32_t features : {1u, 5u, 16u, 33u, 100u}) {
    const std::vector<float> scale = random_floats(features, 1.0f, 7), shift = random_floats(features, 1.0f, 8);
    check_frame_layer(
        "layer_norm", features, features,
        [&](FileBuilder* file, uint32_t x, uint32_t y) {
          file->vector_tensor(8, scale);
          file->vector_tensor(9, shift);
          file->node(8, "layer", {x}, y, {bits_of(1e-3f)}, 2);
        },
        [&](const textbook::Doubles& x) {
          double mean = 0, variance = 0;
          for (double v : x) mean += v / x.size();
          for (double v : x) variance += (v - mean) * (v - mean) / x.size();
          textbook::Doubles y;
          for (size_t i = 0; i < x.size(); ++i)
            y.push_back((x[i] - mean) / sqrt(variance + 1e-3f) * scale[i] + shift[i]);
          return y;
        });
    check_frame_layer(
        "affine", features, features,
        [&](FileBuilder* file, uint32_t x, uint32_t y) {
          file->vector_tensor(8, scale);
          file->vector_tensor(9, shift);
          file->node(9, "layer", {x}, y, {}, 2);
        },
        [&](const textbook::Doubles& x) {
          textbook::Doubles y;
          for (size_t i = 0; i < x.size(); ++i) y.push_back(x[i] * scale[i] + shift[i]);
          return y;
        });
    for (const uint32_t logarithm : {0u, 1u}) {
      check_frame_layer(
          "softmax", features, features,
          [&](FileBuilder* file, uint32_t x, uint32_t y) { file->node(7, "layer", {x}, y, {logarithm}, 0); },
          [&](const textbook::Doubles& x) {
            const double most = *std::max_element(x.begin(), x.end());
            double total = 0;
            for (double v : x) total += exp(v - most);
            textbook::Doubles y;
            for (double v : x) y.push_back(logarithm ? v - most - log(total) : exp(v - most) / total);
            return y;
          });
    }
  }
}

void check_select_and_binary() {
  const std::vector<uint32_t> index = {4, 0, 0, 2};
  check_frame_layer(
      "select", 5, 4,
      [&](FileBuilder* file, uint32_t x, uint32_t y) {
        file->index_tensor(11, index);
        file->node(11, "layer", {x}, y, {}, 1);
      },
      [&](const textbook::Doubles& x) {
        textbook::Doubles y;
        for (uint32_t i : index) y.push_back(x[i]);
        return y;
      });
  for (const uint32_t op : {0u, 1u, 2u, 3u, 4u}) {
    check_frame_layer(
        "binary", 6, 6,
        [&](FileBuilder* file, uint32_t x, uint32_t y) {
          const uint32_t back = file->value("back", 6);
          file->index_tensor(11, {5, 4, 3, 2, 1, 0});
          file->node(11, "flipped", {x}, back, {}, 1);
          file->node(10, "layer", {x, back}, y, {op}, 0);
        },
        [&](const textbook::Doubles& x) {
          textbook::Doubles y;
          for (size_t i = 0; i < 6; ++i) {
            const double a = x[i], b = x[5 - i];
            y.push_back(op == 0   ? a + b
                        : op == 1 ? a - b
                        : op == 2 ? a * b
                        : op == 3 ? std::max(a, b)
                                  : std::min(a, b));
          }
          return y;
        });
  }
}

// A NaN on either side is the result, in its own lane alone.
void check_extremes_of_nan() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const uint32_t features = 37, half = features - 1;
  for (const uint32_t op : {3u, 4u}) {
    for (const Isa isa : supported_isas()) {
      const LoadedModel model(one_layer(features, features,
                                        [&](FileBuilder* file, uint32_t x, uint32_t y) {
                                          const uint32_t back = file->value("back", features);
                                          std::vector<uint32_t> index(features);
                                          for (uint32_t i = 0; i < features; ++i) index[i] = half - i;
                                          file->index_tensor(11, index);
                                          file->node(11, "flipped", {x}, back, {}, 1);
                                          file->node(10, "layer", {x, back}, y, {op}, 0);
                                        }),
                              isa);
      CHECK(model.status() == Status::kOk);
      for (uint32_t place = 0; place < features; ++place) {
        std::vector<float> x = random_floats(features, 2.0f, place);
        x[place] = nan;
        const std::vector<float> y = step_all(model, 1, x.data());
        for (uint32_t i = 0; i < features; ++i) {
          const float a = x[i], b = x[half - i], expected = (op == 3) == (a > b) ? a : b;
          const bool is_nan = i == place || half - i == place;
          CHECK(is_nan ? std::isnan(y[i]) : y[i] == expected);
        }
      }
    }
  }
}

// The cell with other activations than sigmoid and tanh.
void check_gru_activations() {
  const uint32_t in = 4, hidden = 11, frames = 30;
  for (const bool reset_before : {false, true}) {
    for (uint32_t gate = 0; gate < 8; ++gate) {
      const uint32_t candidate = (gate * 3 + 2) % 8 == 0 ? 2 : (gate * 3 + 2) % 8;
      // Bounded gates keep the textbook and float together.
      const uint32_t bounded[] = {1, 1, 2, 6, 6, 7, 6, 7};
      const uint32_t code = bounded[gate];
      const textbook::Gru gru = textbook::random_gru(in, hidden, reset_before, false, 50 + gate);
      const auto value = [](uint32_t which, float a, float b) {
        return has_beta(which) ? b : has_alpha(which) ? a : 0.0f;
      };
      const float gate_alpha = value(code, 0.3f, 0.2f), gate_beta = has_beta(code) ? 0.5f : 0.0f;
      const float n_alpha = value(candidate, 0.3f, 0.2f), n_beta = has_beta(candidate) ? 0.5f : 0.0f;
      FileBuilder file;
      const uint32_t x = file.value("x", in), y = file.value("y", hidden);
      file.input(x);
      file.output(y);
      file.tensor(1, 3, hidden, in, gru.weight_ih.data());
      file.tensor(2, reset_before ? 2 : 3, hidden, hidden, gru.weight_hh.data());
      if (reset_before) file.tensor(3, 1, hidden, hidden, gru.weight_hh.data() + 2 * hidden * hidden);
      file.tensor(4, reset_before ? 3 : 4, hidden, 0, gru.bias.data());
      const std::vector<float> initial = random_floats(hidden, 0.5f, 9);
      file.vector_tensor(6, initial);
      file.node(1, "gru", {x}, y,
                {reset_before ? 1u : 0u, 0, 0, code, bits_of(gate_alpha), bits_of(gate_beta), candidate,
                 bits_of(n_alpha), bits_of(n_beta)},
                reset_before ? 5 : 4);
      const std::vector<float> signal = random_floats(size_t{frames} * in, 1.0f, 60);
      for (const Isa isa : supported_isas()) {
        const LoadedModel model(file.finish(), isa);
        if (!CHECK(model.status() == Status::kOk)) return;
        const std::vector<float> got = step_all(model, frames, signal.data());
        CHECK(same_bits(run_all(model, 1, 7, frames, signal).data(), got.data(), got.size()));
        textbook::Doubles h(initial.begin(), initial.end());
        for (uint32_t t = 0; t < frames; ++t) {
          const textbook::Doubles frame(signal.begin() + t * in, signal.begin() + (t + 1) * in);
          const auto s = [&](double v) { return activation(code, v, gate_alpha, gate_beta); };
          textbook::Doubles r(hidden), z(hidden), next(hidden);
          const auto sum = [&](uint32_t g, uint32_t i, bool recurrent, const textbook::Doubles& state) {
            double total = 0;
            if (!recurrent)
              for (uint32_t k = 0; k < in; ++k) total += gru.ih(g, i, k) * frame[k];
            if (recurrent)
              for (uint32_t k = 0; k < hidden; ++k) total += gru.hh(g, i, k) * state[k];
            return total;
          };
          for (uint32_t i = 0; i < hidden; ++i) {
            r[i] = s(gru.bias[i] + sum(0, i, false, h) + sum(0, i, true, h));
            z[i] = s(gru.bias[hidden + i] + sum(1, i, false, h) + sum(1, i, true, h));
          }
          textbook::Doubles gated(hidden);
          for (uint32_t i = 0; i < hidden; ++i) gated[i] = r[i] * h[i];
          for (uint32_t i = 0; i < hidden; ++i) {
            const double a = gru.bias[2 * hidden + i] + sum(2, i, false, h);
            const double n = activation(
                candidate,
                reset_before ? a + sum(2, i, true, gated) : a + r[i] * (gru.bias[3 * hidden + i] + sum(2, i, true, h)),
                n_alpha, n_beta);
            next[i] = z[i] * h[i] + (1 - z[i]) * n;
          }
          h = next;
          for (uint32_t i = 0; i < hidden; ++i) {
            CHECK_SAYING(fabs(got[t * hidden + i] - h[i]) <= kMostDifference * (1 + fabs(h[i])),
                         "gru %u %u t=%u: %g, %g", code, candidate, t, got[t * hidden + i], h[i]);
          }
        }
      }
    }
  }
}

}  // namespace

int main() {
  check_activations();
  check_norms();
  check_select_and_binary();
  check_extremes_of_nan();
  check_gru_activations();
  return finish("layers_test");
}
