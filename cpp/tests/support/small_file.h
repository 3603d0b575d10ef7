// The small file that the hostile tests damage, and where its sections lie.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_TESTS_SMALL_FILE_H_
#define GRUCORE_TESTS_SMALL_FILE_H_

#include "file_builder.h"

namespace grucore_test {

inline uint32_t get32(const Bytes& file, size_t at) {
  return file[at] | uint32_t{file[at + 1]} << 8 | uint32_t{file[at + 2]} << 16 | uint32_t{file[at + 3]} << 24;
}
inline void set32(Bytes* file, size_t at, uint32_t value) {
  for (int i = 0; i < 4; ++i) (*file)[at + static_cast<size_t>(i)] = static_cast<unsigned char>(value >> (8 * i));
}

// Puts the checksum right after a change, and leaves the length as the header says it.
inline void sign(Bytes* file) {
  if (file->size() < 16) return;
  set32(file, 12, 0);
  set32(file, 12, textbook_crc32c(*file));
}

// x -> gru -> dense -> y, and gru -> take -> last; every kind of record, and a test vector.
inline Bytes small_file(bool reset_before = false) {
  const uint32_t in = 3, hidden = 5, out = 2, frames = 2;
  FileBuilder file;
  const uint32_t x = file.value("x", in), h = file.value("h", hidden), y = file.value("y", out);
  const uint32_t last = file.value("last", hidden, 2), both = file.value("both", hidden + out);
  file.input(x);
  for (const uint32_t value : {y, last, both}) file.output(value);
  file.gru("gru.l0", textbook::random_gru(in, hidden, reset_before, false, 5), x, h);
  file.dense("linear", textbook::Floats(out * hidden, 0.25f), textbook::Floats(out, -0.5f), 1, h, y);
  file.take("take", h, last);
  file.concat("concat", {h, y}, both);
  file.test_tensor(64, frames, in, textbook::Floats(frames * in, 0.5f));
  file.test_tensor(65, frames, out, textbook::Floats(frames * out, 0.5f));
  file.test_tensor(65, hidden, 0, textbook::Floats(hidden, 0.5f));
  file.test_tensor(65, frames, hidden + out, textbook::Floats(frames * (hidden + out), 0.5f));
  return file.finish();
}

struct SmallSections {  // offsets
  size_t values, nodes, tensors, words, names, metadata, data;
};

inline SmallSections sections_of(const Bytes& file) {
  const auto after = [](size_t at, size_t bytes) { return (at + bytes + 63) / 64 * 64; };
  SmallSections at;
  at.values = 64;
  at.nodes = after(at.values, 32 * size_t{get32(file, 24)});
  at.tensors = after(at.nodes, 64 * size_t{get32(file, 28)});
  at.words = after(at.tensors, 64 * size_t{get32(file, 32)});
  at.names = after(at.words, 4 * size_t{get32(file, 44)});
  at.metadata = after(at.names, get32(file, 48));
  at.data = after(at.metadata, get32(file, 52));
  return at;
}

}  // namespace grucore_test

#endif  // GRUCORE_TESTS_SMALL_FILE_H_
