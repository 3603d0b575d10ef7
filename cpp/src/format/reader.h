// Reads bytes of a file that nobody has checked yet.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_FORMAT_READER_H_
#define GRUCORE_FORMAT_READER_H_

#include <stddef.h>
#include <stdint.h>

#include "grucore/grucore.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "grucore uses the weights in place, so it needs a little-endian machine"
#endif

#define GRUCORE_TRY(expression)                                          \
  do {                                                                   \
    const ::grucore::Status grucore_status = (expression);               \
    if (grucore_status != ::grucore::Status::kOk) return grucore_status; \
  } while (0)

namespace grucore {
namespace detail {

// The bytes, and where to note a refusal. Offsets are validated by the caller's walk over the sections;
// `at` is only ever called with offset + size <= bytes().
class Reader {
 public:
  Reader(const void* file, uint64_t file_bytes, LoadReport* report)
      : file_(static_cast<const unsigned char*>(file)), bytes_(file_bytes), report_(report) {}

  uint64_t bytes() const { return bytes_; }
  const unsigned char* at(uint64_t offset) const { return file_ + offset; }

  uint32_t u32(uint64_t offset) const {
    const unsigned char* p = file_ + offset;
    return p[0] | static_cast<uint32_t>(p[1]) << 8 | static_cast<uint32_t>(p[2]) << 16 |
           static_cast<uint32_t>(p[3]) << 24;
  }
  uint64_t u64(uint64_t offset) const { return u32(offset) | static_cast<uint64_t>(u32(offset + 4)) << 32; }

  Status refuse(Status status, uint64_t offset, uint64_t found = 0, uint64_t expected = 0) const {
    if (report_) {
      report_->status = status;
      report_->offset = offset;
      report_->found = found;
      report_->expected = expected;
    }
    return status;
  }
  // The node and the tensor that the next refusals are about; a name without bytes where it is not known yet.
  void blame_node(uint32_t node, const Text& name) const {
    if (!report_) return;
    report_->node = node;
    report_->node_name = name;
    report_->role = kNone;
  }
  void blame_tensor(uint32_t role) const {
    if (report_) report_->role = role;
  }
  void blame_nobody() const { blame_node(kNone, {nullptr, 0}); }

  // Refuses the first byte of [from, to) that is not zero.
  Status zeros(uint64_t from, uint64_t to) const {
    for (uint64_t i = from; i < to; ++i) {
      if (file_[i] != 0) return refuse(Status::kReservedNotZero, i, file_[i], 0);
    }
    return Status::kOk;
  }

 private:
  const unsigned char* file_;
  uint64_t bytes_;
  LoadReport* report_;
};

constexpr uint64_t align_up(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_FORMAT_READER_H_
