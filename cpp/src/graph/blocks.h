// Weights in blocks8x4: the shape that such a tensor may have, and the places of its blocks.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_GRAPH_BLOCKS_H_
#define GRUCORE_GRAPH_BLOCKS_H_

#include "format/reader.h"
#include "graph/graph.h"

namespace grucore {
namespace detail {

// The tensor's dtype, rank, shape and parameters fit the layout.
Status check_block_shape(const Reader& reader, size_t record, const Tensor& tensor);
// The bytes of a tensor of such a shape, and those of them before its first block.
Status block_bytes(const Reader& reader, size_t record, const Tensor& tensor, size_t* before, size_t* bytes);
// Its places, at `offset`: each strip's ascend, none is past the inputs, and no block is zeros alone.
Status check_block_places(const Reader& reader, const Tensor& tensor, size_t offset, size_t before);

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_GRAPH_BLOCKS_H_
