// Quantized matrices as docs/format.md and docs/numerics.md say: packing and products, written to be read.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_TESTS_TEXTBOOK_QUANTIZED_H_
#define GRUCORE_TESTS_TEXTBOOK_QUANTIZED_H_

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <random>
#include <vector>

#include "file_builder.h"

namespace textbook {

enum class Kind : uint32_t { kFloat32 = 0, kFloat16 = 2, kInt8 = 3, kInt4 = 4 };  // dtypes of docs/format.md

inline double half_value(uint16_t half) {
  const int exponent = half >> 10 & 31, mantissa = half & 1023;
  const double magnitude = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
  return half & 0x8000 ? -magnitude : magnitude;
}

// (groups x gates x rows) by (segments x inputs); integers with their scales, or halves.
struct Matrix {
  Kind kind = Kind::kInt8;
  uint32_t bits = 16;
  uint32_t gates = 1, rows = 1, inputs = 1, segments = 1, groups = 1;
  bool has_segments = false;          // rank 3 in the file
  std::vector<int> values;            // integers, or the bits of halves
  Floats row_scale;                   // int8
  std::vector<uint16_t> group_scale;  // int4: (rows, segments, scale groups)
  Floats floats;                      // float32

  uint32_t scale_groups() const { return (inputs + 31) / 32; }
  size_t all_rows() const { return size_t{groups} * gates * rows; }
  size_t columns() const { return size_t{segments} * inputs; }
  // The number that element (row, column) stands for.
  double value(size_t row, size_t column) const {
    switch (kind) {
      case Kind::kFloat32: return floats[row * columns() + column];
      case Kind::kFloat16: return half_value(static_cast<uint16_t>(values[row * columns() + column]));
      case Kind::kInt8: return values[row * columns() + column] * static_cast<double>(row_scale[row]);
      case Kind::kInt4: break;
    }
    const size_t segment = column / inputs, group = column % inputs / 32;
    return values[row * columns() + column] *
           half_value(group_scale[(row * segments + segment) * scale_groups() + group]);
  }
};

// From 0 up to 1. The standard distributions differ from library to library, mt19937 does not.
inline float portable_uniform(std::mt19937* random) {
  return static_cast<float>(static_cast<uint32_t>((*random)()) >> 8) * 0x1p-24f;
}

inline Matrix random_matrix(Kind kind, uint32_t bits, uint32_t gates, uint32_t rows, uint32_t inputs,
                            std::mt19937* random, uint32_t segments = 1, uint32_t groups = 1) {
  Matrix m;
  m.kind = kind;
  m.bits = bits;
  m.gates = gates;
  m.rows = rows;
  m.inputs = inputs;
  m.segments = segments;
  m.groups = groups;
  const float bound = 1.0f / sqrtf(static_cast<float>(m.columns()));
  for (size_t i = 0; i < m.all_rows() * m.columns(); ++i) {
    const uint32_t draw = (*random)();
    switch (kind) {
      case Kind::kFloat32: m.floats.push_back((portable_uniform(random) * 2 - 1) * bound); break;
      // Mostly exponents 2^-9 to 2^-2, now and then a denormal half or a zero.
      case Kind::kFloat16:
        m.values.push_back(static_cast<int>(draw % 16 == 0 ? draw & 0x83ff : (draw & 0x83ff) | (6 + draw % 8) << 10));
        break;
      case Kind::kInt8: m.values.push_back(static_cast<int>(draw % 255) - 127); break;
      case Kind::kInt4: m.values.push_back(static_cast<int>(draw % 16) - 8); break;
    }
  }
  if (kind == Kind::kInt8) {
    for (size_t i = 0; i < m.all_rows(); ++i)
      m.row_scale.push_back((*random)() % 40 ? (0.5f + portable_uniform(random) / 2) * bound / 127 : 0);
  }
  if (kind == Kind::kInt4) {
    for (size_t i = 0; i < m.all_rows() * segments * m.scale_groups(); ++i) {
      const uint32_t draw = (*random)();
      m.group_scale.push_back(static_cast<uint16_t>((draw & 0x83ff) | (4 + draw % 7) << 10));
    }
  }
  return m;
}

// For each panel of each group, in the order of the file: first row, rows that are there, width.
template <class Visit>
void for_each_panel(const Matrix& m, const Visit& visit) {
  for (uint32_t group = 0; group < m.groups; ++group) {
    for (uint32_t first = 0; first < m.rows; first += 16) {
      const uint32_t left = std::min(16u, m.rows - first);
      visit(group, first, left, (left + 3) / 4 * 4);
    }
  }
}

inline grucore_test::Bytes pack(const Matrix& m) {
  grucore_test::Bytes bytes;
  const uint32_t together = m.kind == Kind::kInt8 ? 4 : m.kind == Kind::kInt4 ? 8 : 1;
  for_each_panel(m, [&](uint32_t group, uint32_t first, uint32_t left, uint32_t width) {
    for (uint32_t segment = 0; segment < m.segments; ++segment) {
      for (uint32_t k = 0; k < m.inputs; k += together) {
        for (uint32_t gate = 0; gate < m.gates; ++gate) {
          for (uint32_t i = 0; i < width; ++i) {
            const size_t row = (size_t{group} * m.gates + gate) * m.rows + first + i;
            const auto at = [&](uint32_t step) {
              if (i >= left || k + step >= m.inputs) return 0;
              return m.values[row * m.columns() + size_t{segment} * m.inputs + k + step];
            };
            if (m.kind == Kind::kFloat16) {
              bytes.push_back(static_cast<unsigned char>(at(0)));
              bytes.push_back(static_cast<unsigned char>(at(0) >> 8));
            } else if (m.kind == Kind::kInt8) {
              for (uint32_t step = 0; step < 4; ++step) bytes.push_back(static_cast<unsigned char>(at(step)));
            } else {
              for (uint32_t j = 0; j < 4; ++j) {
                bytes.push_back(static_cast<unsigned char>((at(j) & 15) | (at(4 + j) & 15) << 4));
              }
            }
          }
        }
      }
    }
  });
  return bytes;
}

inline grucore_test::Bytes pack_scale(const Matrix& m) {
  grucore_test::Bytes bytes;
  const uint32_t columns = m.kind == Kind::kInt8 ? 1 : m.segments * m.scale_groups();
  for_each_panel(m, [&](uint32_t group, uint32_t first, uint32_t left, uint32_t width) {
    for (uint32_t column = 0; column < columns; ++column) {
      for (uint32_t gate = 0; gate < m.gates; ++gate) {
        for (uint32_t i = 0; i < width; ++i) {
          const size_t row = (size_t{group} * m.gates + gate) * m.rows + first + i;
          if (m.kind == Kind::kInt8) {
            unsigned char word[4] = {};
            if (i < left) memcpy(word, &m.row_scale[row], 4);
            bytes.insert(bytes.end(), word, word + 4);
          } else {
            const uint16_t half = i < left ? m.group_scale[row * columns + column] : uint16_t{0};
            bytes.push_back(static_cast<unsigned char>(half));
            bytes.push_back(static_cast<unsigned char>(half >> 8));
          }
        }
      }
    }
  });
  return bytes;
}

// Puts the weights into a file, and with them their scales, which stand behind all weights and biases.
inline void put_weights(grucore_test::FileBuilder* file, uint32_t role, const Matrix& m) {
  const uint32_t rows = static_cast<uint32_t>(m.all_rows()), groups = m.groups > 1 ? m.groups : 0;
  if (m.kind == Kind::kFloat32) {
    file->tensor(role, m.gates, m.rows, static_cast<uint32_t>(m.columns()), m.floats.data());
    return;
  }
  const bool is_integer = m.kind != Kind::kFloat16;
  const uint32_t together = m.kind == Kind::kInt8 ? 4 : m.kind == Kind::kInt4 ? 8 : 1;
  file->any_tensor({role,
                    static_cast<uint32_t>(m.kind),
                    2,
                    {rows, is_integer && m.has_segments ? m.segments : static_cast<uint32_t>(m.columns()),
                     is_integer && m.has_segments ? m.inputs : 0},
                    {m.gates, together, groups, is_integer ? m.bits : 0},
                    pack(m)});
}
inline uint32_t put_scale(grucore_test::FileBuilder* file, uint32_t role, const Matrix& m) {
  const uint32_t rows = static_cast<uint32_t>(m.all_rows()), groups = m.groups > 1 ? m.groups : 0;
  if (m.kind == Kind::kFloat16 || m.kind == Kind::kFloat32) return 0;
  const bool is_int8 = m.kind == Kind::kInt8;
  file->any_tensor({role,
                    is_int8 ? 0u : 2u,
                    2,
                    {rows, is_int8 ? 0u : m.segments * m.scale_groups(), 0},
                    {m.gates, 1, groups, 0},
                    pack_scale(m)});
  return 1;
}

// A GRU whose matrices have weights of any kind.
struct QuantizedGru {
  Matrix ih, hh, hn;  // hn: reset-before
  Floats bias;
  bool reset_before = false;
  bool reverse = false;

  // The same weights as floats, for the textbook in double.
  Gru floats() const {
    Gru gru;
    gru.input_size = ih.inputs;
    gru.hidden_size = ih.rows;
    gru.reset_before = reset_before;
    gru.reverse = reverse;
    gru.bias = bias;
    const auto append = [](const Matrix& m, Floats* out) {
      for (size_t i = 0; i < m.all_rows() * m.columns(); ++i) {
        out->push_back(static_cast<float>(m.value(i / m.columns(), i % m.columns())));
      }
    };
    append(ih, &gru.weight_ih);
    append(hh, &gru.weight_hh);
    if (reset_before) append(hn, &gru.weight_hh);
    return gru;
  }

  void put(grucore_test::FileBuilder* file, const std::string& name, uint32_t x, uint32_t y) const {
    put_weights(file, 1, ih);
    put_weights(file, 2, hh);
    if (reset_before) put_weights(file, 3, hn);
    file->tensor(4, reset_before ? 3 : 4, ih.rows, 0, bias.data());
    uint32_t tensors = reset_before ? 4 : 3;
    tensors += put_scale(file, 12, ih);
    tensors += put_scale(file, 13, hh);
    if (reset_before) tensors += put_scale(file, 14, hn);
    file->node(1, name, {x}, y, {reset_before ? 1u : 0u, reverse ? 1u : 0u, 0, 1, 0, 0, 2, 0, 0}, tensors);
  }
};

struct WeightKind {
  Kind kind;
  uint32_t bits;  // of the activations
  const char* name;
};

inline QuantizedGru random_quantized_gru(const WeightKind& in, const WeightKind& recurrent, uint32_t inputs,
                                         uint32_t hidden, bool reset_before, std::mt19937* random) {
  QuantizedGru gru;
  gru.reset_before = reset_before;
  gru.ih = random_matrix(in.kind, in.bits, 3, hidden, inputs, random);
  gru.hh = random_matrix(recurrent.kind, recurrent.bits, reset_before ? 2 : 3, hidden, hidden, random);
  gru.hn = random_matrix(recurrent.kind, recurrent.bits, 1, hidden, hidden, random);
  gru.bias.resize((reset_before ? 3 : 4) * size_t{hidden});
  for (float& value : gru.bias) value = 0.25f * (portable_uniform(random) * 2 - 1);
  return gru;
}

struct Quantized {
  std::vector<int> q;
  float scale;
};

// range 0: the largest |x|, at least `least`.
inline Quantized quantize(const float* x, uint32_t count, uint32_t bits, float range, float least) {
  const float levels = bits == 8 ? 127.0f : 16383.0f;
  float most = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (!isfinite(x[i])) return {std::vector<int>(count, 0), NAN};
    most = std::max(most, fabsf(x[i]));
  }
  if (range > 0) most = range;
  most = std::max(most, least);
  if (most < 0x1p-100f) return {std::vector<int>(count, 0), 0.0f};
  const float inverse = levels / most;
  Quantized result = {{}, most / levels};
  for (uint32_t i = 0; i < count; ++i) {
    const float scaled = x[i] * inverse;
    const float rounded = nearbyintf(scaled);
    result.q.push_back(static_cast<int>(std::min(levels, std::max(-levels, rounded))));
  }
  return result;
}

// *y + the integer product of row `row` with x (segments x inputs), one rounding after the other.
inline float add_product(const Matrix& m, size_t row, const float* x, float range, float least, float y) {
  for (uint32_t segment = 0; segment < m.segments; ++segment) {
    const Quantized q = quantize(x + size_t{segment} * m.inputs, m.inputs, m.bits, range, least);
    const uint32_t group = m.kind == Kind::kInt8 ? 1024 : 32;
    float sum = 0;
    for (uint32_t first = 0; first < m.inputs; first += group) {
      int64_t exact = 0;
      for (uint32_t k = first; k < std::min(m.inputs, first + group); ++k) {
        exact += int64_t{m.values[row * m.columns() + size_t{segment} * m.inputs + k]} * q.q[k];
      }
      float part = static_cast<float>(exact);
      if (m.kind == Kind::kInt4) {
        const uint16_t half = m.group_scale[(row * m.segments + segment) * m.scale_groups() + first / 32];
        part *= static_cast<float>(half_value(half));
      }
      sum += part;
    }
    float product = sum * q.scale;
    if (m.kind == Kind::kInt8) product *= m.row_scale[row];
    y += product;
  }
  return y;
}

}  // namespace textbook

#endif  // GRUCORE_TESTS_TEXTBOOK_QUANTIZED_H_
