// Writes a small model with its test vector, as a file or as a C array for programs that have no file system.
// SPDX-License-Identifier: Apache-2.0
// Usage: make_model FILE [int8]   FILE.gru: the file itself; else a C header
#include <stdio.h>

#include "harness.h"
#include "portable.h"
#include "textbook_quantized.h"

using namespace grucore_test;

namespace {

constexpr uint32_t kIn = 10, kHidden = 20, kOut = 3, kFrames = 8;

// Both cells, a dense layer and an output per sequence; the test outputs are written by a second call.
// is_int8: the weights of products, with 16-bit activations.
void put_gru(FileBuilder* file, const char* name, const textbook::Gru& gru, bool is_int8, uint32_t x, uint32_t y) {
  if (!is_int8) return file->gru(name, gru, x, y);
  const textbook::WeightKind int8 = {textbook::Kind::kInt8, 16, "int8"};
  std::mt19937 random(gru.input_size);
  textbook::random_quantized_gru(int8, int8, gru.input_size, gru.hidden_size, gru.reset_before, &random)
      .put(file, name, x, y);
}

void put_dense(FileBuilder* file, bool is_int8, PortableRandom* random, uint32_t x, uint32_t y) {
  const textbook::Floats weight = portable_floats(kOut * kHidden, 1, random), bias = portable_floats(kOut, 1, random);
  if (!is_int8) return file->dense("linear", weight, bias, 1, x, y);
  std::mt19937 integers(kOut);
  const textbook::Matrix matrix = random_matrix(textbook::Kind::kInt8, 16, 1, kOut, kHidden, &integers);
  file->tensor(4, 1, kOut, 0, bias.data());
  put_weights(file, 5, matrix);
  put_scale(file, 15, matrix);
  file->node(2, "linear", {x}, y, {1, 0, 0}, 3);
}

Bytes file_of(bool is_int8, const textbook::Floats& x, const textbook::Floats& y, const textbook::Floats& last) {
  PortableRandom random(21);
  FileBuilder file;
  const uint32_t in = file.value("x", kIn), a = file.value("a", kHidden), b = file.value("b", kHidden);
  const uint32_t out = file.value("y", kOut), end = file.value("last", kHidden, 2);
  file.input(in);
  file.output(out);
  file.output(end);
  put_gru(&file, "gru.l0", portable_gru(kIn, kHidden, false, false, &random), is_int8, in, a);
  put_gru(&file, "gru.l1", portable_gru(kHidden, kHidden, true, false, &random), is_int8, a, b);
  put_dense(&file, is_int8, &random, b, out);
  file.take("take", b, end);
  file.test_tensor(64, kFrames, kIn, x);
  file.test_tensor(65, kFrames, kOut, y);
  file.test_tensor(65, kHidden, 0, last);
  return file.finish();
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_int8 = argc == 3 && strcmp(argv[2], "int8") == 0;
  if (argc != 2 && !is_int8) return 2;
  PortableRandom random(22);
  const textbook::Floats x = portable_signal(kFrames * kIn, &random);
  textbook::Floats y(kFrames * kOut), last(kHidden);
  {
    const LoadedModel model(file_of(is_int8, x, y, last), Isa::scalar);
    if (!CHECK(model.status() == Status::kOk)) return 1;
    const OwnedStream stream(model, 1, kFrames);
    const grucore::ConstSignal in = {x.data(), 0, kIn};
    const grucore::Signal out[] = {{y.data(), 0, kOut}, {last.data(), 0, 0}};
    grucore::run(stream.get(), kFrames, &in, out, nullptr);
  }
  const Bytes file = file_of(is_int8, x, y, last);
  FILE* header = fopen(argv[1], "wb");
  if (!header) return 1;
  const char* end = strrchr(argv[1], '.');
  if (end && strcmp(end, ".gru") == 0) {
    fwrite(file.data(), 1, file.size(), header);
    return fclose(header);
  }
  fprintf(header, "// A small model: two GRU layers of %u, a dense layer, and what they gave on the host.\n", kHidden);
  fprintf(header, "// SPDX-License-Identifier: Apache-2.0\n#include <stdalign.h>\n\n");
  fprintf(header, "alignas(64) static const unsigned char small_model[%zu] = {", file.size());
  for (size_t i = 0; i < file.size(); ++i) fprintf(header, "%s%u,", i % 24 ? "" : "\n", file[i]);
  fprintf(header, "\n};\n");
  return fclose(header);
}
