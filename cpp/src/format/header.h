// The header of a file and the sections that follow from it.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_FORMAT_HEADER_H_
#define GRUCORE_FORMAT_HEADER_H_

#include "format/reader.h"

namespace grucore {
namespace detail {

struct Header {  // copied out of the file, and checked
  size_t file_bytes;
  uint32_t value_count, node_count, tensor_count, input_count, output_count;
  uint32_t word_count, name_bytes, metadata_bytes;
};

struct Sections {  // offsets, which the limits of all counts keep below 2^27
  size_t values, nodes, tensors, words, names, metadata, data;
};

Status read_header(const Reader& reader, Header* header);
Status check_sum(const Reader& reader);
Sections sections_of(const Header& header);

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_FORMAT_HEADER_H_
