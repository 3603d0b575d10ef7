// Carves the caller's memory. Run twice over the same requests: once without memory to learn the size,
// once with it.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_MODEL_ARENA_H_
#define GRUCORE_MODEL_ARENA_H_

#include <stddef.h>
#include <stdint.h>

#include "grucore/grucore.h"
#include "kernels/parts.h"

namespace grucore {
namespace detail {

// Alignment of what the engine carves: whole cache lines, where vectors are wide. On firmware that would be RAM for
// nothing.
#if defined(GRUCORE_ONLY_SCALAR)
constexpr size_t kCarvedAlignment = 8;
#else
constexpr size_t kCarvedAlignment = kAlignment;
#endif

class Arena {
 public:
  explicit Arena(void* memory = nullptr) : memory_(static_cast<unsigned char*>(memory)) {}

  // `count` objects, aligned to kCarvedAlignment; null while only measuring. A request too large for the machine
  // leaves the arena overflown.
  template <class T>
  T* take(uint64_t count) {
    return static_cast<T*>(take_bytes(count, sizeof(T)));
  }

  bool overflown() const { return overflown_; }
  size_t used() const { return used_; }

 private:
  void* take_bytes(uint64_t count, size_t size) {
    const size_t room = (SIZE_MAX >> 1) - used_;
    // Divided in the machine's own words: a small core has no wider division.
    if (overflown_ || room < kCarvedAlignment || count > SIZE_MAX ||
        static_cast<size_t>(count) > (room - (kCarvedAlignment - 1)) / size) {
      overflown_ = true;
      return nullptr;
    }
    unsigned char* at = memory_ ? memory_ + used_ : nullptr;
    used_ += (static_cast<size_t>(count) * size + kCarvedAlignment - 1) / kCarvedAlignment * kCarvedAlignment;
    return at;
  }

  unsigned char* memory_;
  size_t used_ = 0;
  bool overflown_ = false;
};

inline bool is_aligned(const void* memory) { return reinterpret_cast<uintptr_t>(memory) % kAlignment == 0; }

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_MODEL_ARENA_H_
