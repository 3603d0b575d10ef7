// The seam between layers and kernels: what a kernel table offers, once per instruction set.
// Pointers, sizes and PODs only, so that no vector type crosses it.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_KERNELS_KERNEL_TABLE_H_
#define GRUCORE_KERNELS_KERNEL_TABLE_H_

#include <stddef.h>
#include <stdint.h>

#include "grucore/grucore.h"

namespace grucore {
namespace detail {

// Codes of docs/format.md.
enum class ActivationCode : uint32_t {
  kLinear = 0,
  kSigmoid = 1,
  kTanh = 2,
  kRelu = 3,
  kLeakyRelu = 4,
  kElu = 5,
  kHardSigmoid = 6,
  kSoftsign = 7,
  kSoftplus = 8,
  kGelu = 9,
  kGeluTanh = 10,
  kSilu = 11,
  kHardSwish = 12,
  kClip = 13,
  kExp = 14,
};
constexpr uint32_t kActivationCount = 15;
constexpr uint32_t kGateActivationCount = 8;  // those that a GRU's gates may have: codes below this

struct Activation {
  ActivationCode code;
  float alpha;
  float beta;
};

enum class BinaryOp : uint32_t { kAdd = 0, kSubtract = 1, kMultiply = 2 };
constexpr uint32_t kBinaryOpCount = 3;

// Which rows of a batch take part: index[0..count), or 0..count-1 where index is null.
struct Rows {
  const uint32_t* index;
  uint32_t count;
};

// Rows of floats, `stride` floats apart. Every buffer's rows are padded to whole panels of 16 floats.
struct ConstMatrix {
  const float* data;
  size_t stride;
};
struct Matrix {
  float* data;
  size_t stride;
};

// Weights in panel16 (docs/format.md): `gates` times `rows` outputs of `inputs` inputs each.
struct PanelWeights {
  const float* data;
  uint32_t gates;
  uint32_t rows;
  uint32_t inputs;
};

// y = activation(bias + weights * x), for each of the rows. gates 1: y[row] is the outputs in order.
// gates 3: y[row] is panel by panel, gate by gate, as GruArgs::projected wants it.
struct MatmulArgs {
  PanelWeights weights;
  const float* bias;  // panel16 of bias_gates; the first `gates` of them are used
  uint32_t bias_gates;
  Activation activation;
  ConstMatrix x;
  Matrix y;
  Rows rows;
};

// One step of a GRU cell for each of the rows. The input enters as x, or as `projected` = bias and input
// product from matmul where that is not null.
struct GruArgs {
  PanelWeights weight_ih;  // 3 gates
  PanelWeights weight_hh;  // 3 gates; reset-before: 2 gates
  PanelWeights weight_hn;  // reset-before: 1 gate; else data is null
  const float* bias;       // reset-after: 4 gates; reset-before: 3
  Activation gate;         // of r and z
  Activation candidate;    // of n
  bool is_standard;        // sigmoid and tanh
  ConstMatrix x;
  ConstMatrix projected;
  ConstMatrix h;
  Matrix out;      // does not overlap h
  Matrix scratch;  // reset-before: rows of 3 times the padded hidden size
  Rows rows;
};

struct KernelTable {
  Isa isa;
  Numerics numerics;
  void (*matmul)(const MatmulArgs& args);
  void (*gru_step)(const GruArgs& args);
  // Copies with denormals made zero; true if a value was not finite.
  bool (*copy_in)(float* to, const float* from, size_t count);
  // Copies; true if a value was not finite.
  bool (*copy_out)(float* to, const float* from, size_t count);
  // y[i] = activation(x[i]); slope[i] stands for alpha where slope is not null.
  void (*activate)(const Activation& activation, const float* slope, float* y, const float* x, size_t count);
  // y[i] = a[i] op b[i]
  void (*binary)(BinaryOp op, float* y, const float* a, const float* b, size_t count);
  // y[i] = scale[i] * x[i] + shift[i]
  void (*affine)(float* y, const float* x, const float* scale, const float* shift, size_t count);
  // Over the features of one row.
  void (*softmax)(bool logarithm, float* y, const float* x, size_t count);
  void (*layer_norm)(float epsilon, float* y, const float* x, const float* scale, const float* shift, size_t count);
};

constexpr uint32_t kPanel = 16;

// static: kernel files must not share functions, not even these.
static constexpr uint32_t round_up(uint32_t value, uint32_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}
// Rows of a matrix in panel16, padding included.
static constexpr uint32_t padded_rows(uint32_t rows) { return round_up(rows, 4); }

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_KERNELS_KERNEL_TABLE_H_
