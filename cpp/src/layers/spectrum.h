// The shared part of layers that transform frames: a length and its table of roots.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_LAYERS_SPECTRUM_H_
#define GRUCORE_LAYERS_SPECTRUM_H_

#include "layers/layer.h"

namespace grucore {
namespace detail {

struct Transform {
  static constexpr uint32_t kMaxLength = 65536;

  const float* roots;
  uint32_t length;
  uint32_t rows, columns;  // of the matrix in which its numbers lie

  uint32_t bins() const { return length / 2 + 1; }

  // An attribute: 2 or more, with no factors but 2, 3 and 5.
  Status parse_length(const NodeSource& source, uint32_t index) {
    GRUCORE_TRY(source.attribute(index, kMaxLength, &length));
    uint32_t rest = length;
    for (uint32_t factor = 2; factor <= 5 && rest; ++factor) {
      while (rest % factor == 0) rest /= factor;
    }
    if (length < 2 || rest != 1) {
      return source.reader.refuse(Status::kBadAttribute, source.attribute_offset + 4 * index, length, kMaxLength);
    }
    const uint32_t numbers = length % 2 ? length : length / 2;
    // The smallest divisor that is not less than the number of columns that it leaves.
    rows = 1;
    while (numbers % rows || rows < numbers / rows) ++rows;
    columns = numbers / rows;
    return Status::kOk;
  }

  // The only tensor of the node.
  Status parse_roots(const NodeSource& source) {
    GRUCORE_TRY(source.expect_tensors(1));
    const Tensor* table = source.find(Role::kTable);
    source.blame(Role::kTable);
    if (!table) return source.refuse(Status::kMissingTensor, 0, 1);
    GRUCORE_TRY(source.expect_tensor(*table, TensorDtype::kFloat32, Layout::kRowMajor, 2));
    const uint32_t shape[2] = {2, length};
    for (uint32_t i = 0; i < 2; ++i) {
      if (table->shape[i] == shape[i]) continue;
      return source.reader.refuse(Status::kBadShape, table->record_offset + 16 + 4 * i, table->shape[i], shape[i]);
    }
    source.blame_no_tensor();
    roots = static_cast<const float*>(table->data);
    return Status::kOk;
  }
};

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_LAYERS_SPECTRUM_H_
