// int8 weights in blocks8x4: the bits of the same weights in whole matrices, on every table and from every way of
// running.
// SPDX-License-Identifier: Apache-2.0
#include "harness.h"
#include "textbook_quantized.h"

using namespace grucore_test;
using textbook::Kind;
using textbook::Matrix;

namespace {

constexpr uint32_t kRows = 8, kColumns = 4;

// Sets so many of the blocks to zero; of strip `empty` all.
void prune(Matrix* m, double kept, uint32_t empty, std::mt19937* random) {
  const uint32_t columns = m->inputs / kColumns;
  for (uint32_t strip = 0; strip < m->all_rows() / kRows; ++strip) {
    for (uint32_t four = 0; four < columns; ++four) {
      if (strip != empty && textbook::portable_uniform(random) < kept) continue;
      for (uint32_t i = 0; i < kRows * kColumns; ++i) {
        m->values[(strip * kRows + i / kColumns) * size_t{m->inputs} + four * kColumns + i % kColumns] = 0;
      }
    }
  }
}

// The tensor straight from docs/format.md: ends of strips, places, three more, zeros to 64 bytes, blocks.
void put_blocks(FileBuilder* file, uint32_t role, const Matrix& m) {
  Bytes ends, places, blocks;
  uint32_t count = 0;
  for (uint32_t first = 0; first < m.rows; first += 16) {
    const uint32_t width = m.rows - first < 16 ? m.rows - first : 16;
    for (uint32_t gate = 0; gate < m.gates; ++gate) {
      for (uint32_t row = first; row < first + width; row += kRows) {
        for (uint32_t four = 0; four < m.inputs / kColumns; ++four) {
          Bytes block;
          for (uint32_t i = 0; i < kRows * kColumns; ++i) {
            const size_t at = gate * size_t{m.rows} + row + i / kColumns;
            block.push_back(static_cast<unsigned char>(m.values[at * m.inputs + four * kColumns + i % kColumns]));
          }
          if (block == Bytes(block.size(), 0)) continue;
          places.push_back(static_cast<unsigned char>(four));
          places.push_back(static_cast<unsigned char>(four >> 8));
          blocks.insert(blocks.end(), block.begin(), block.end());
          ++count;
        }
        put32(&ends, count);
      }
    }
  }
  Bytes bytes = ends;
  bytes.insert(bytes.end(), places.begin(), places.end());
  bytes.resize(bytes.size() + 6);
  pad64(&bytes);
  bytes.insert(bytes.end(), blocks.begin(), blocks.end());
  file->any_tensor(
      {role, 3, 6, {static_cast<uint32_t>(m.all_rows()), m.inputs, 0}, {m.gates, kColumns, count, m.bits}, bytes});
}

void put(FileBuilder* file, uint32_t role, const Matrix& m, bool in_blocks) {
  if (in_blocks) {
    put_blocks(file, role, m);
  } else {
    textbook::put_weights(file, role, m);
  }
}

Bytes dense_file(const Matrix& m, bool in_blocks) {
  FileBuilder file;
  const uint32_t x = file.value("x", m.inputs), y = file.value("y", m.rows);
  file.input(x);
  file.output(y);
  const textbook::Floats bias(m.rows, 0.25f);
  file.tensor(4, 1, m.rows, 0, bias.data());
  put(&file, 5, m, in_blocks);
  file.node(2, "dense", {x}, y, {0, 0, 0}, 2 + textbook::put_scale(&file, 15, m));
  return file.finish();
}

Bytes gru_file(const textbook::QuantizedGru& gru, bool ih_in_blocks, bool hh_in_blocks) {
  FileBuilder file;
  const uint32_t x = file.value("x", gru.ih.inputs), y = file.value("y", gru.ih.rows);
  file.input(x);
  file.output(y);
  put(&file, 1, gru.ih, ih_in_blocks);
  put(&file, 2, gru.hh, hh_in_blocks);
  if (gru.reset_before) put(&file, 3, gru.hn, hh_in_blocks);
  file.tensor(4, gru.reset_before ? 3 : 4, gru.ih.rows, 0, gru.bias.data());
  uint32_t tensors = (gru.reset_before ? 4u : 3u) + textbook::put_scale(&file, 12, gru.ih);
  tensors += textbook::put_scale(&file, 13, gru.hh);
  if (gru.reset_before) tensors += textbook::put_scale(&file, 14, gru.hn);
  file.node(1, "gru", {x}, y, {gru.reset_before ? 1u : 0u, 0, 0, 1, 0, 0, 2, 0, 0}, tensors);
  return file.finish();
}

void check_same(const Bytes& whole, const Bytes& blocks, uint32_t inputs, const char* what, std::mt19937* random) {
  constexpr uint32_t kFrames = 12, kBatch = 5;
  std::normal_distribution<float> normal;
  std::vector<float> x(size_t{kBatch} * kFrames * inputs);
  for (float& value : x) value = normal(*random);
  const std::vector<float> expected = run_all(LoadedModel(whole, supported_isas().front()), kBatch, 1, kFrames, x);
  const size_t row = expected.size() / kBatch;
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(blocks, isa);
    const char* name = grucore::isa_name(isa);
    if (!CHECK_SAYING(model.status() == Status::kOk, "%s %s: %d", name, what, static_cast<int>(model.status()))) return;
    const std::vector<float> stepped = step_all(model, kFrames, x.data());
    CHECK_SAYING(same_bits(stepped.data(), expected.data(), row), "%s %s step", name, what);
    for (const uint32_t block : {1u, 7u}) {
      const std::vector<float> found = run_all(model, kBatch, block, kFrames, x);
      CHECK_SAYING(same_bits(found.data(), expected.data(), expected.size()), "%s %s blocks of %u", name, what, block);
    }
  }
}

void check(uint32_t bits, uint32_t inputs, uint32_t rows, double kept, std::mt19937* random) {
  char what[80];
  snprintf(what, sizeof what, "int8/%u %u -> %u, %g kept", bits, inputs, rows, kept);
  Matrix m = textbook::random_matrix(Kind::kInt8, bits, 1, rows, inputs, random);
  prune(&m, kept, 0, random);
  check_same(dense_file(m, false), dense_file(m, true), inputs, what, random);
  const textbook::WeightKind kind = {Kind::kInt8, bits, "int8"};
  for (const bool reset_before : {false, true}) {
    textbook::QuantizedGru gru = textbook::random_quantized_gru(kind, kind, inputs, rows, reset_before, random);
    for (Matrix* each : {&gru.ih, &gru.hh, &gru.hn}) prune(each, kept, 1, random);
    const Bytes whole = gru_file(gru, false, false);
    check_same(whole, gru_file(gru, true, true), inputs, what, random);
    check_same(whole, gru_file(gru, true, false), inputs, what, random);
    check_same(whole, gru_file(gru, false, true), inputs, what, random);
  }
}

}  // namespace

int main() {
  std::mt19937 random(1);
  const uint32_t sizes[][2] = {{4, 8}, {12, 24}, {40, 64}, {64, 104}, {2056, 16}};
  for (const auto& size : sizes) {
    for (const uint32_t bits : {8u, 16u}) {
      for (const double kept : {0.0, 0.1, 0.5, 1.0}) check(bits, size[0], size[1], kept, &random);
    }
  }
  return finish("blocks_test");
}
