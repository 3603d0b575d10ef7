// Writes the seed corpus: small models of every kind and shape.
// SPDX-License-Identifier: Apache-2.0
// Usage: make_corpus FOLDER   (which exists)
#include <stdio.h>

#include "portable.h"
#include "small_file.h"
#include "sound_file.h"
#include "textbook_gates.h"

using namespace grucore_test;

namespace {

bool write(const std::string& path, const Bytes& file) {
  FILE* out = fopen(path.c_str(), "wb");
  if (!out) return false;
  const bool whole = fwrite(file.data(), 1, file.size(), out) == file.size();
  return fclose(out) == 0 && whole;
}

Bytes bidirectional(uint32_t in, uint32_t hidden) {
  PortableRandom random(in * 100 + hidden);
  FileBuilder file;
  const uint32_t x = file.value("x", in), a = file.value("a", hidden), b = file.value("b", hidden);
  const uint32_t both = file.value("both", 2 * hidden), last = file.value("last", 2 * hidden, 2);
  const uint32_t y = file.value("y", 2, 2);
  file.input(x);
  file.output(y);
  file.gru("l0", portable_gru(in, hidden, false, false, &random), x, a);
  file.gru("l0_reverse", portable_gru(in, hidden, true, true, &random), x, b);
  file.concat("concat", {a, b}, both);
  file.take("take", both, last);
  file.dense("linear", portable_floats(4 * hidden, 1, &random), portable_floats(2, 1, &random), 3, last, y);
  return file.finish();
}

Bytes one_layer(uint32_t in, uint32_t hidden, bool reset_before) {
  PortableRandom random(in * 100 + hidden);
  FileBuilder file;
  const uint32_t x = file.value("x", in), y = file.value("y", hidden);
  file.input(x);
  file.output(y);
  file.gru("gru", portable_gru(in, hidden, reset_before, false, &random), x, y);
  return file.finish();
}

Bytes quantized(const textbook::WeightKind& in, const textbook::WeightKind& recurrent, bool reset_before) {
  std::mt19937 random(5);
  FileBuilder file;
  const uint32_t x = file.value("x", 5), y = file.value("y", 6);
  file.input(x);
  file.output(y);
  textbook::random_quantized_gru(in, recurrent, 5, 6, reset_before, &random).put(&file, "gru", x, y);
  return file.finish();
}

Bytes gates(bool is_lstm, const textbook::WeightKind& kind) {
  std::mt19937 random(6);
  textbook::Gates layer = textbook::random_gates(is_lstm, kind, kind, 5, 6, &random);
  layer.initial_h = textbook::random_signal(6, 0.5f, &random);
  if (is_lstm) layer.initial_c = textbook::random_signal(6, 0.5f, &random);
  FileBuilder file;
  const uint32_t x = file.value("x", 5), mask = file.int_value("mask", 1), y = file.value("y", 6);
  file.input(x);
  file.input(mask);
  file.output(y);
  layer.put(&file, "layer", {x, mask}, y);
  return file.finish();
}

// The larger frame of every second pair.
Bytes windows(uint32_t in) {
  FileBuilder file;
  const uint32_t x = file.value("x", in), y = file.value("y", in, 1, 4, 1);
  file.input(x);
  file.output(y);
  file.node(16, "pool1d", {x}, y, {1, 2, 4}, 0);
  return file.finish();
}

// A state that the network feeds back to itself through two layers.
Bytes loop(uint32_t features) {
  FileBuilder file;
  const uint32_t x = file.value("x", features), past = file.value("past", features), sum = file.value("sum", features),
                 y = file.value("y", features);
  file.input(x);
  file.output(y);
  file.node(19, "delay", {y}, past, {3}, 0);
  file.node(10, "sum", {x, past}, sum, {0}, 0);
  file.node(6, "tanh", {sum}, y, {2, 0, 0}, 0);
  return file.finish();
}

// The largest feature as an id, and that of the frame before.
Bytes ids(uint32_t features) {
  FileBuilder file;
  const uint32_t x = file.value("x", features), now = file.int_value("now", 1), past = file.int_value("past", 1);
  file.input(x);
  file.output(past);
  file.node(26, "largest", {x}, now, {1}, 0);
  file.node(19, "delay", {now}, past, {1}, 0);
  return file.finish();
}

// The mean of a sequence at each of its frames.
Bytes expand(uint32_t features) {
  FileBuilder file;
  const uint32_t x = file.value("x", features), mean = file.value("mean", features, 2), y = file.value("y", features);
  file.input(x);
  file.output(y);
  file.node(12, "mean", {x}, mean, {0}, 0);
  file.node(27, "expand", {x, mean}, y, {}, 0);
  return file.finish();
}

// Attention with keys of its own, over a memory that a stream starts with.
Bytes attention(uint32_t features) {
  PortableRandom random(features);
  FileBuilder file;
  const uint32_t x = file.value("x", 5), y = file.value("y", features);
  const textbook::Floats weight = portable_floats(size_t{5} * features, 1, &random), bias(5, 0.25f);
  file.input(x);
  file.output(y);
  file.tensor(4, 1, 5, 0, bias.data());
  file.tensor(5, 1, 5, features, weight.data());
  Bytes memory(size_t{4} * 3 * features), vector(size_t{4} * 5);
  file.any_tensor({6, 0, 1, {3, features, 0}, {0, 0, 0, 0}, memory});
  file.any_tensor({8, 0, 1, {5, 0, 0}, {0, 0, 0, 0}, vector});
  file.node(25, "attention", {x}, y, {1, 1, 3, features, features, 0x3f800000}, 4);
  return file.finish();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string folder = std::string(argv[1]) + "/";
  bool good =
      write(folder + "small_after.gru", small_file(false)) && write(folder + "small_before.gru", small_file(true));
  good = good && write(folder + "one_by_one.gru", one_layer(1, 1, false));
  good = good && write(folder + "wide_before.gru", one_layer(2, 18, true));
  good = good && write(folder + "bidirectional.gru", bidirectional(2, 3));
  good = good && write(folder + "windows.gru", windows(3)) && write(folder + "loop.gru", loop(3)) &&
         write(folder + "ids.gru", ids(3)) && write(folder + "attention.gru", attention(7)) &&
         write(folder + "expand.gru", expand(5));
  good = good && write(folder + "sound.gru", sound_file({7, 18, 20, 3, 0.97f, 0, 6})) &&
         write(folder + "samples.gru", samples_file(9, 18)) &&
         write(folder + "spectrum.gru", sound_file({16, 8, 15, 0, 0.0f, 2, 0}));
  const textbook::WeightKind int8 = {textbook::Kind::kInt8, 16, "int8"}, int4 = {textbook::Kind::kInt4, 8, "int4"},
                             half = {textbook::Kind::kFloat16, 0, "float16"};
  good = good && write(folder + "int8_before.gru", quantized(int8, int8, true));
  good = good && write(folder + "int4_float16.gru", quantized(int4, half, false));
  good = good && write(folder + "float16_int8.gru", quantized(half, int8, false));
  const textbook::WeightKind float32 = {textbook::Kind::kFloat32, 0, "float32"};
  good = good && write(folder + "lstm.gru", gates(true, float32)) && write(folder + "rnn.gru", gates(false, float32));
  good =
      good && write(folder + "lstm_int8.gru", gates(true, int8)) && write(folder + "rnn_int4.gru", gates(false, int4));
  if (!good) printf("cannot write to %s\n", argv[1]);
  return good ? 0 : 1;
}
