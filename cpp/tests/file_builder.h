// Writes .gru files for the tests, straight from docs/format.md.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_TESTS_FILE_BUILDER_H_
#define GRUCORE_TESTS_FILE_BUILDER_H_

#include <stdint.h>
#include <string.h>

#include <string>
#include <vector>

#include "textbook.h"

namespace grucore_test {

using Bytes = std::vector<unsigned char>;

inline void put32(Bytes* out, uint32_t value) {
  for (int i = 0; i < 4; ++i) out->push_back(static_cast<unsigned char>(value >> (8 * i)));
}
inline void put64(Bytes* out, uint64_t value) {
  put32(out, static_cast<uint32_t>(value));
  put32(out, static_cast<uint32_t>(value >> 32));
}
inline void pad64(Bytes* out) {
  while (out->size() % 64) out->push_back(0);
}

// Bit by bit, from the definition.
inline uint32_t textbook_crc32c(const Bytes& bytes) {
  uint32_t crc = 0xffffffffu;
  for (unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

// Puts length and checksum right again after a change.
inline void seal(Bytes* file) {
  Bytes length;
  put64(&length, file->size());
  memcpy(file->data() + 16, length.data(), 8);
  memset(file->data() + 12, 0, 4);
  Bytes crc;
  put32(&crc, textbook_crc32c(*file));
  memcpy(file->data() + 12, crc.data(), 4);
}

class FileBuilder {
 public:
  uint32_t value(const std::string& name, uint32_t features, uint32_t rate = 0) {
    put32(&values_, static_cast<uint32_t>(name.size()));
    for (uint32_t field : {features, 0u, rate, 1u, 0u, 0u, 0u}) put32(&values_, field);
    value_names_ += name;
    return value_count_++;
  }
  void input(uint32_t value) { inputs_.push_back(value); }
  void output(uint32_t value) { outputs_.push_back(value); }

  void gru(const std::string& name, const textbook::Gru& gru, uint32_t x, uint32_t y) {
    const uint32_t h = gru.hidden_size;
    tensor(1, 3, h, gru.input_size, gru.weight_ih.data());
    tensor(2, gru.reset_before ? 2 : 3, h, h, gru.weight_hh.data());
    if (gru.reset_before) tensor(3, 1, h, h, gru.weight_hh.data() + 2 * size_t{h} * h);
    tensor(4, gru.reset_before ? 3 : 4, h, 0, gru.bias.data());
    node(1, name, {x}, y, {gru.reset_before ? 1u : 0u, gru.reverse ? 1u : 0u, 1, 2}, gru.reset_before ? 4 : 3);
  }
  void dense(const std::string& name, const textbook::Floats& weight, const textbook::Floats& bias, uint32_t activation,
             uint32_t x, uint32_t y) {
    const uint32_t rows = static_cast<uint32_t>(bias.size());
    tensor(4, 1, rows, 0, bias.data());
    tensor(5, 1, rows, static_cast<uint32_t>(weight.size() / bias.size()), weight.data());
    node(2, name, {x}, y, {activation}, 2);
  }
  void take(const std::string& name, uint32_t x, uint32_t y) { node(3, name, {x}, y, {0}, 0); }
  void concat(const std::string& name, const std::vector<uint32_t>& xs, uint32_t y) { node(4, name, xs, y, {}, 0); }

  // A node of any kind, with the tensors put before it by `tensor`.
  void node(uint32_t kind, const std::string& name, const std::vector<uint32_t>& inputs, uint32_t output,
            const std::vector<uint32_t>& attributes, uint32_t tensors) {
    put32(&nodes_, kind);
    put32(&nodes_, static_cast<uint32_t>(name.size()));
    put32(&nodes_, static_cast<uint32_t>(inputs.size()));
    put32(&nodes_, output);
    put32(&nodes_, static_cast<uint32_t>(attributes.size()));
    put32(&nodes_, tensors);
    nodes_.resize(nodes_.size() + 40);
    node_names_ += name;
    node_words_.insert(node_words_.end(), inputs.begin(), inputs.end());
    node_words_.insert(node_words_.end(), attributes.begin(), attributes.end());
    ++node_count_;
  }
  // panel16 of float32; inputs 0: a bias.
  void tensor(uint32_t role, uint32_t gates, uint32_t rows, uint32_t inputs, const float* data) {
    tensors_.push_back({role, gates, gates * rows, inputs, textbook::pack_panel16(data, gates, rows, inputs ? inputs : 1)});
  }
  // rowmajor of float32, for the test vector of the model; after the tensors of all nodes. features 0: (frames,).
  void test_tensor(uint32_t role, uint32_t frames, uint32_t features, const textbook::Floats& data) {
    tensors_.push_back({role, 0, frames, features, data});
  }

  Bytes finish() const {
    std::vector<uint32_t> words = inputs_;
    words.insert(words.end(), outputs_.begin(), outputs_.end());
    words.insert(words.end(), node_words_.begin(), node_words_.end());
    const std::string names = value_names_ + node_names_;
    const std::string metadata = "{}";
    Bytes file = {0x89, 'G', 'R', 'U', 0x0d, 0x0a, 0x1a, 0x0a};
    for (size_t field : {size_t{1}, size_t{0}, size_t{0}, size_t{0}, size_t{value_count_}, size_t{node_count_}, tensors_.size(),
                         inputs_.size(), outputs_.size(), words.size(), names.size(), metadata.size(), size_t{0}, size_t{0}}) {
      put32(&file, static_cast<uint32_t>(field));
    }
    file.insert(file.end(), values_.begin(), values_.end());
    pad64(&file);
    file.insert(file.end(), nodes_.begin(), nodes_.end());
    pad64(&file);
    size_t data = file.size() + 64 * tensors_.size() + (4 * words.size() + 63) / 64 * 64 + (names.size() + 63) / 64 * 64 +
                  (metadata.size() + 63) / 64 * 64;
    for (const TensorSource& tensor : tensors_) {
      const uint32_t rank = tensor.inputs ? 2 : 1;
      const uint32_t layout = tensor.gates ? 2 : 1, group = tensor.gates ? 1 : 0;
      for (uint32_t field : {tensor.role, 0u, layout, rank, tensor.outputs, tensor.inputs, 0u, 0u, tensor.gates, group, 0u, 0u}) {
        put32(&file, field);
      }
      put64(&file, data);
      put64(&file, tensor.packed.size() * 4);
      data += (tensor.packed.size() * 4 + 63) / 64 * 64;
    }
    for (uint32_t word : words) put32(&file, word);
    pad64(&file);
    file.insert(file.end(), names.begin(), names.end());
    pad64(&file);
    file.insert(file.end(), metadata.begin(), metadata.end());
    pad64(&file);
    for (const TensorSource& tensor : tensors_) {
      const size_t at = file.size();
      file.resize(at + tensor.packed.size() * 4);
      memcpy(file.data() + at, tensor.packed.data(), tensor.packed.size() * 4);
      pad64(&file);
    }
    seal(&file);
    return file;
  }

 private:
  struct TensorSource {
    uint32_t role, gates, outputs, inputs;  // gates 0: rowmajor
    textbook::Floats packed;
  };
  Bytes values_, nodes_;
  std::string value_names_, node_names_;
  std::vector<uint32_t> inputs_, outputs_, node_words_;
  std::vector<TensorSource> tensors_;
  uint32_t value_count_ = 0, node_count_ = 0;
};

}  // namespace grucore_test

#endif  // GRUCORE_TESTS_FILE_BUILDER_H_
