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

// The bytes, and where to note a refusal. Offsets are as wide as memory, in which the whole file lies: numbers of 64
// bits in it are checked as such and then copied out. They are validated by the caller's walk over the sections; `at`
// is only ever called with offset + size <= bytes().
class Reader {
 public:
  Reader(const void* file, size_t file_bytes, LoadReport* report)
      : file_(static_cast<const unsigned char*>(file)), bytes_(file_bytes), report_(report) {}

  size_t bytes() const { return bytes_; }
  const unsigned char* at(size_t offset) const { return file_ + offset; }

  uint32_t u32(size_t offset) const {
    const unsigned char* p = file_ + offset;
    return p[0] | static_cast<uint32_t>(p[1]) << 8 | static_cast<uint32_t>(p[2]) << 16 |
           static_cast<uint32_t>(p[3]) << 24;
  }
  uint64_t u64(size_t offset) const { return u32(offset) | static_cast<uint64_t>(u32(offset + 4)) << 32; }

  // Notes the refusal, and returns the status.
  Status refuse(Status status, size_t offset, size_t found = 0, size_t expected = 0) const;
  // The same of numbers that may be larger than memory.
  Status refuse_wide(Status status, size_t offset, uint64_t found, uint64_t expected) const;
  // The node and the tensor that the next refusals are about, or the last one was; a name without bytes where it is
  // not known yet.
  void blame_node(uint32_t node, const Text& name) const;
  void blame_tensor(uint32_t role) const {
    if (report_) report_->role = role;
  }
  void blame_nobody() const { blame_node(kNone, {nullptr, 0}); }

  // Refuses the first byte of [from, to) that is not zero.
  Status zeros(size_t from, size_t to) const;

 private:
  const unsigned char* file_;
  size_t bytes_;
  LoadReport* report_;
};

template <class Size>
constexpr Size align_up(Size value, size_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_FORMAT_READER_H_
