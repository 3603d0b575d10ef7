// The notes that a refusal leaves. Not inline: every check of the loader calls it.
// SPDX-License-Identifier: Apache-2.0
#include "format/reader.h"

namespace grucore {
namespace detail {

Status Reader::refuse(Status status, size_t offset, size_t found, size_t expected) const {
  return refuse_wide(status, offset, found, expected);
}

Status Reader::refuse_wide(Status status, size_t offset, uint64_t found, uint64_t expected) const {
  if (report_) {
    report_->status = status;
    report_->offset = offset;
    report_->found = found;
    report_->expected = expected;
  }
  return status;
}

void Reader::blame_node(uint32_t node, const Text& name) const {
  if (!report_) return;
  report_->node = node;
  report_->node_name = name;
  report_->role = kNone;
}

Status Reader::zeros(size_t from, size_t to) const {
  for (size_t i = from; i < to; ++i) {
    if (file_[i] != 0) return refuse(Status::kReservedNotZero, i, file_[i], 0);
  }
  return Status::kOk;
}

}  // namespace detail
}  // namespace grucore
