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
  uint32_t value(const std::string& name, uint32_t features, uint32_t rate = 0, uint32_t period = 1,
                 uint32_t skip = 0) {
    return typed_value(name, features, 0, rate, period, skip);
  }
  uint32_t int_value(const std::string& name, uint32_t features) { return typed_value(name, features, 1, 0, 1, 0); }
  uint32_t typed_value(const std::string& name, uint32_t features, uint32_t dtype, uint32_t rate, uint32_t period,
                       uint32_t skip) {
    put32(&values_, static_cast<uint32_t>(name.size()));
    for (uint32_t field : {features, dtype, rate, period, skip, 0u, 0u}) put32(&values_, field);
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
    node(1, name, {x}, y, gru_words(gru), gru.reset_before ? 4 : 3);
  }
  void dense(const std::string& name, const textbook::Floats& weight, const textbook::Floats& bias, uint32_t activation,
             uint32_t x, uint32_t y) {
    const uint32_t rows = static_cast<uint32_t>(bias.size());
    tensor(4, 1, rows, 0, bias.data());
    tensor(5, 1, rows, static_cast<uint32_t>(weight.size() / bias.size()), weight.data());
    node(2, name, {x}, y, {activation, 0, 0}, 2);
  }
  static std::vector<uint32_t> gru_words(const textbook::Gru& gru) {
    return {gru.reset_before ? 1u : 0u, gru.reverse ? 1u : 0u, 0, 1, 0, 0, 2, 0, 0};
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
    tensors_.push_back({role,
                        0,
                        2,
                        {gates * rows, inputs, 0},
                        {gates, 1, 0, 0},
                        bytes_of(textbook::pack_panel16(data, gates, rows, inputs ? inputs : 1))});
  }
  // The same of `groups` matrices, one after the other.
  void grouped_tensor(uint32_t role, uint32_t groups, uint32_t rows, uint32_t inputs, const float* data) {
    textbook::Floats packed;
    for (uint32_t g = 0; g < groups; ++g) {
      const textbook::Floats one =
          textbook::pack_panel16(data + size_t{g} * rows * (inputs ? inputs : 1), 1, rows, inputs ? inputs : 1);
      packed.insert(packed.end(), one.begin(), one.end());
    }
    tensors_.push_back({role, 0, 2, {groups * rows, inputs, 0}, {1, 1, groups > 1 ? groups : 0, 0}, bytes_of(packed)});
  }
  void vector_tensor(uint32_t role, const textbook::Floats& data) {
    tensors_.push_back({role, 0, 1, {static_cast<uint32_t>(data.size()), 0, 0}, {0, 0, 0, 0}, bytes_of(data)});
  }
  void index_tensor(uint32_t role, const std::vector<uint32_t>& indices) {
    textbook::Floats bits(indices.size());
    memcpy(bits.data(), indices.data(), indices.size() * 4);
    tensors_.push_back({role, 1, 1, {static_cast<uint32_t>(indices.size()), 0, 0}, {0, 0, 0, 0}, bytes_of(bits)});
  }
  void table_tensor(uint32_t role, uint32_t rows, uint32_t width, const textbook::Floats& data) {
    const uint32_t stride = (width + 15) / 16 * 16;
    textbook::Floats padded(size_t{rows} * stride, 0.0f);
    for (size_t i = 0; i < size_t{rows} * width; ++i) padded[i / width * stride + i % width] = data[i];
    tensors_.push_back({role, 0, 3, {rows, width, 0}, {0, 0, 0, 0}, bytes_of(padded)});
  }
  // rowmajor of float32, for the test vector of the model; after the tensors of all nodes. features 0: (frames,).
  void test_tensor(uint32_t role, uint32_t frames, uint32_t features, const textbook::Floats& data) {
    tensors_.push_back({role, 0, 1, {frames, features, 0}, {0, 0, 0, 0}, bytes_of(data)});
  }
  // Any tensor, as it stands in the file.
  struct TensorSource {
    uint32_t role, dtype, layout;
    uint32_t shape[3];  // 0: no such dimension
    uint32_t params[4];
    Bytes bytes;
  };
  void any_tensor(const TensorSource& tensor) { tensors_.push_back(tensor); }

  Bytes finish() const {
    std::vector<uint32_t> words = inputs_;
    words.insert(words.end(), outputs_.begin(), outputs_.end());
    words.insert(words.end(), node_words_.begin(), node_words_.end());
    const std::string names = value_names_ + node_names_;
    const std::string metadata = "{}";
    Bytes file = {0x89, 'G', 'R', 'U', 0x0d, 0x0a, 0x1a, 0x0a};
    for (size_t field :
         {size_t{1}, size_t{0}, size_t{0}, size_t{0}, size_t{value_count_}, size_t{node_count_}, tensors_.size(),
          inputs_.size(), outputs_.size(), words.size(), names.size(), metadata.size(), size_t{0}, size_t{0}}) {
      put32(&file, static_cast<uint32_t>(field));
    }
    file.insert(file.end(), values_.begin(), values_.end());
    pad64(&file);
    file.insert(file.end(), nodes_.begin(), nodes_.end());
    pad64(&file);
    size_t data = file.size() + 64 * tensors_.size() + (4 * words.size() + 63) / 64 * 64 +
                  (names.size() + 63) / 64 * 64 + (metadata.size() + 63) / 64 * 64;
    for (const TensorSource& tensor : tensors_) {
      const uint32_t rank = tensor.shape[2] ? 3u : tensor.shape[1] ? 2u : 1u;
      for (uint32_t field :
           {tensor.role, tensor.dtype, tensor.layout, rank, tensor.shape[0], tensor.shape[1], tensor.shape[2], 0u,
            tensor.params[0], tensor.params[1], tensor.params[2], tensor.params[3]}) {
        put32(&file, field);
      }
      put64(&file, data);
      put64(&file, tensor.bytes.size());
      data += (tensor.bytes.size() + 63) / 64 * 64;
    }
    for (uint32_t word : words) put32(&file, word);
    pad64(&file);
    file.insert(file.end(), names.begin(), names.end());
    pad64(&file);
    file.insert(file.end(), metadata.begin(), metadata.end());
    pad64(&file);
    for (const TensorSource& tensor : tensors_) {
      file.insert(file.end(), tensor.bytes.begin(), tensor.bytes.end());
      pad64(&file);
    }
    seal(&file);
    return file;
  }

 private:
  static Bytes bytes_of(const textbook::Floats& floats) {
    Bytes bytes(floats.size() * 4);
    if (!bytes.empty()) memcpy(bytes.data(), floats.data(), bytes.size());
    return bytes;
  }

  Bytes values_, nodes_;
  std::string value_names_, node_names_;
  std::vector<uint32_t> inputs_, outputs_, node_words_;
  std::vector<TensorSource> tensors_;
  uint32_t value_count_ = 0, node_count_ = 0;
};

}  // namespace grucore_test

#endif  // GRUCORE_TESTS_FILE_BUILDER_H_
