// Files from samples to bands: window, rfft, filterbank, logarithm.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_TESTS_SOUND_FILE_H_
#define GRUCORE_TESTS_SOUND_FILE_H_

#include <cmath>

#include "file_builder.h"

namespace grucore_test {

struct SoundShape {
  uint32_t hop, samples, length;
  uint32_t delay;
  float emphasis;
  uint32_t spectrum;  // 0 power, 1 magnitude, 2 parts
  uint32_t bands;     // 0: the spectrum is the output

  uint32_t bins() const { return (length / 2 + 1) * (spectrum == 2 ? 2 : 1); }
  float weight(uint32_t i) const { return 0.25f + 0.5f * static_cast<float>(i) / static_cast<float>(samples); }
  uint32_t first(uint32_t band) const { return band * bins() / (bands + 1); }
  uint32_t count(uint32_t band) const { return (bins() - first(band)) * (band % 3) / 3 + 1; }
};

inline uint32_t word_of(float x) {
  uint32_t word;
  memcpy(&word, &x, sizeof word);
  return word;
}

inline FileBuilder::TensorSource root_table(uint32_t length) {
  constexpr double kTurn = 6.283185307179586476925287;
  textbook::Floats roots;
  for (uint32_t k = 0; k < length; ++k) roots.push_back(static_cast<float>(cos(kTurn * k / length)));
  for (uint32_t k = 0; k < length; ++k) roots.push_back(static_cast<float>(-sin(kTurn * k / length)));
  for (float& root : roots) root = fabs(root) < 1e-9f ? 0.0f : root;
  FileBuilder::TensorSource table = {7, 0, 1, {2, length, 0}, {0, 0, 0, 0}, Bytes(roots.size() * 4)};
  memcpy(table.bytes.data(), roots.data(), table.bytes.size());
  return table;
}

// Samples, their spectrum and samples again: the window is `samples` long, and the frames are cut to a hop.
inline Bytes samples_file(uint32_t hop, uint32_t length) {
  FileBuilder file;
  const uint32_t x = file.value("x", hop), w = file.value("w", length), p = file.value("p", 2 * (length / 2 + 1));
  const uint32_t s = file.value("s", length), y = file.value("y", hop);
  file.input(x);
  // Its square adds up to 1 over frames of half a window.
  textbook::Floats weight;
  for (uint32_t i = 0; i < length; ++i)
    weight.push_back(static_cast<float>(sin(3.14159265358979 * (i + 0.5) / length)));
  file.vector_tensor(5, weight);
  file.node(20, "window", {x}, w, {0, 0, 0}, 1);
  file.any_tensor(root_table(length));
  file.node(21, "rfft", {w}, p, {2, length}, 1);
  file.any_tensor(root_table(length));
  file.node(23, "irfft", {p}, s, {length}, 1);
  file.vector_tensor(5, weight);
  file.node(24, "overlap", {s}, y, {hop}, 1);
  file.output(y);
  return file.finish();
}

inline Bytes sound_file(const SoundShape& shape) {
  constexpr float kFloor = 1e-6f;
  FileBuilder file;
  const uint32_t x = file.value("x", shape.hop), w = file.value("w", shape.samples), p = file.value("p", shape.bins());
  file.input(x);
  textbook::Floats weight;
  for (uint32_t i = 0; i < shape.samples; ++i) weight.push_back(shape.weight(i));
  file.vector_tensor(5, weight);
  file.node(20, "window", {x}, w, {shape.delay, 0, word_of(shape.emphasis)}, 1);
  file.any_tensor(root_table(shape.length));
  file.node(21, "rfft", {w}, p, {shape.spectrum, shape.length}, 1);
  if (shape.bands == 0) {
    file.output(p);
    return file.finish();
  }
  std::vector<uint32_t> index;
  textbook::Floats bands;
  for (uint32_t band = 0; band < shape.bands; ++band) {
    index.push_back(shape.first(band));
    index.push_back(shape.count(band));
    for (uint32_t k = 0; k < shape.count(band); ++k) bands.push_back(1.0f / static_cast<float>(1 + k + band));
  }
  file.vector_tensor(5, bands);
  FileBuilder::TensorSource rows = {11, 1, 1, {shape.bands, 2, 0}, {0, 0, 0, 0}, Bytes(index.size() * 4)};
  memcpy(rows.bytes.data(), index.data(), rows.bytes.size());
  file.any_tensor(rows);
  const uint32_t m = file.value("m", shape.bands), y = file.value("y", shape.bands);
  file.node(22, "filterbank", {p}, m, {}, 2);
  file.node(6, "log", {m}, y, {15, word_of(kFloor), word_of(10 / 2.302585f)}, 0);
  file.output(y);
  return file.finish();
}

}  // namespace grucore_test

#endif  // GRUCORE_TESTS_SOUND_FILE_H_
