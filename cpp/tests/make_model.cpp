// Writes a small model with its test vector, as a file or as a C array for programs that have no file system.
// SPDX-License-Identifier: Apache-2.0
// Usage: make_model FILE [KIND [SHAPE]]   FILE.gru: the file itself; else a C header
//   KIND   float32, float16, int8 (16-bit activations), int8x8 or int4
//   SHAPE  small (both cells and an output per sequence) or spotter (40 inputs, 64 units, 12 scores)
#include <stdio.h>

#include "harness.h"
#include "portable.h"
#include "textbook_quantized.h"

using namespace grucore_test;

namespace {

struct Shape {
  const char* name;
  uint32_t in, hidden, out, frames, layers;
  bool has_last;
};
constexpr Shape kShapes[] = {{"small", 10, 20, 3, 8, 2, true}, {"spotter", 40, 64, 12, 16, 1, false}};
constexpr textbook::WeightKind kKinds[] = {{textbook::Kind::kFloat32, 16, "float32"},
                                           {textbook::Kind::kFloat16, 16, "float16"},
                                           {textbook::Kind::kInt8, 16, "int8"},
                                           {textbook::Kind::kInt8, 8, "int8x8"},
                                           {textbook::Kind::kInt4, 16, "int4"}};

void put_gru(FileBuilder* file, const char* name, const textbook::Gru& gru, const textbook::WeightKind& kind,
             uint32_t x, uint32_t y) {
  if (kind.kind == textbook::Kind::kFloat32) return file->gru(name, gru, x, y);
  std::mt19937 random(gru.input_size);
  textbook::random_quantized_gru(kind, kind, gru.input_size, gru.hidden_size, gru.reset_before, &random)
      .put(file, name, x, y);
}

void put_dense(FileBuilder* file, const Shape& shape, const textbook::WeightKind& kind, PortableRandom* random,
               uint32_t x, uint32_t y) {
  const textbook::Floats weight = portable_floats(size_t{shape.out} * shape.hidden, 1, random);
  const textbook::Floats bias = portable_floats(shape.out, 1, random);
  if (kind.kind == textbook::Kind::kFloat32) return file->dense("linear", weight, bias, 1, x, y);
  std::mt19937 integers(shape.out);
  const textbook::Matrix matrix = random_matrix(kind.kind, kind.bits, 1, shape.out, shape.hidden, &integers);
  file->tensor(4, 1, shape.out, 0, bias.data());
  put_weights(file, 5, matrix);
  if (kind.kind != textbook::Kind::kFloat16) put_scale(file, 15, matrix);
  file->node(2, "linear", {x}, y, {1, 0, 0}, kind.kind == textbook::Kind::kFloat16 ? 2 : 3);
}

// The test outputs are written by a second call.
Bytes file_of(const Shape& shape, const textbook::WeightKind& kind, const textbook::Floats& x,
              const textbook::Floats& y, const textbook::Floats& last) {
  PortableRandom random(21);
  FileBuilder file;
  const uint32_t in = file.value("x", shape.in), a = file.value("a", shape.hidden);
  const uint32_t b = shape.layers == 2 ? file.value("b", shape.hidden) : a;
  const uint32_t out = file.value("y", shape.out), end = shape.has_last ? file.value("last", shape.hidden, 2) : 0;
  file.input(in);
  file.output(out);
  if (shape.has_last) file.output(end);
  put_gru(&file, "gru.l0", portable_gru(shape.in, shape.hidden, false, false, &random), kind, in, a);
  if (shape.layers == 2) {
    put_gru(&file, "gru.l1", portable_gru(shape.hidden, shape.hidden, true, false, &random), kind, a, b);
  }
  put_dense(&file, shape, kind, &random, b, out);
  if (shape.has_last) file.take("take", b, end);
  file.test_tensor(64, shape.frames, shape.in, x);
  file.test_tensor(65, shape.frames, shape.out, y);
  if (shape.has_last) file.test_tensor(65, shape.hidden, 0, last);
  return file.finish();
}

template <class Named, size_t kCount>
const Named* named(const Named (&list)[kCount], const char* name) {
  for (const Named& one : list) {
    if (strcmp(one.name, name) == 0) return &one;
  }
  fprintf(stderr, "%s: not one of those that this program knows\n", name);
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) return 2;
  const textbook::WeightKind* kind = named(kKinds, argc > 2 ? argv[2] : "float32");
  const Shape* shape = named(kShapes, argc > 3 ? argv[3] : "small");
  if (!kind || !shape) return 2;
  PortableRandom random(22);
  const textbook::Floats x = portable_signal(size_t{shape->frames} * shape->in, &random);
  textbook::Floats y(size_t{shape->frames} * shape->out), last(shape -> hidden);
  {
    const LoadedModel model(file_of(*shape, *kind, x, y, last), Isa::scalar);
    if (!CHECK(model.status() == Status::kOk)) return 1;
    const OwnedStream stream(model, 1, shape->frames);
    const grucore::ConstSignal in = {x.data(), 0, shape->in};
    const grucore::Signal out[] = {{y.data(), 0, shape->out}, {last.data(), 0, 0}};
    grucore::run(stream.get(), shape->frames, &in, out, nullptr);
  }
  const Bytes file = file_of(*shape, *kind, x, y, last);
  FILE* header = fopen(argv[1], "wb");
  if (!header) return 1;
  const char* end = strrchr(argv[1], '.');
  if (end && strcmp(end, ".gru") == 0) {
    fwrite(file.data(), 1, file.size(), header);
    return fclose(header);
  }
  fprintf(header, "// GRU layers: %u of %u units; a dense layer, and what they gave on the host.\n", shape->layers,
          shape->hidden);
  fprintf(header, "// SPDX-License-Identifier: Apache-2.0\n#include <stdalign.h>\n\n");
  fprintf(header, "alignas(64) static const unsigned char small_model[%zu] = {", file.size());
  for (size_t i = 0; i < file.size(); ++i) fprintf(header, "%s%u,", i % 24 ? "" : "\n", file[i]);
  fprintf(header, "\n};\n");
  return fclose(header);
}
