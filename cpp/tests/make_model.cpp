// Writes a small model with its test vector as a C array, for programs that have no file system.
// SPDX-License-Identifier: Apache-2.0
// Usage: make_model HEADER
#include <stdio.h>

#include "harness.h"
#include "portable.h"

using namespace grucore_test;

namespace {

constexpr uint32_t kIn = 10, kHidden = 20, kOut = 3, kFrames = 8;

// Both cells, a dense layer and an output per sequence; the test outputs are written by a second call.
Bytes file_of(const textbook::Floats& x, const textbook::Floats& y, const textbook::Floats& last) {
  PortableRandom random(21);
  FileBuilder file;
  const uint32_t in = file.value("x", kIn), a = file.value("a", kHidden), b = file.value("b", kHidden);
  const uint32_t out = file.value("y", kOut), end = file.value("last", kHidden, 2);
  file.input(in);
  file.output(out);
  file.output(end);
  file.gru("gru.l0", portable_gru(kIn, kHidden, false, false, &random), in, a);
  file.gru("gru.l1", portable_gru(kHidden, kHidden, true, false, &random), a, b);
  file.dense("linear", portable_floats(kOut * kHidden, 1, &random), portable_floats(kOut, 1, &random), 1, b, out);
  file.take("take", b, end);
  file.test_tensor(64, kFrames, kIn, x);
  file.test_tensor(65, kFrames, kOut, y);
  file.test_tensor(65, kHidden, 0, last);
  return file.finish();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  PortableRandom random(22);
  const textbook::Floats x = portable_signal(kFrames * kIn, &random);
  textbook::Floats y(kFrames * kOut), last(kHidden);
  {
    const LoadedModel model(file_of(x, y, last), Isa::scalar);
    if (!CHECK(model.status() == Status::kOk)) return 1;
    const OwnedStream stream(model, 1, kFrames);
    const grucore::ConstSignal in = {x.data(), 0, kIn};
    const grucore::Signal out[] = {{y.data(), 0, kOut}, {last.data(), 0, 0}};
    grucore::run(stream.get(), kFrames, &in, out, nullptr);
  }
  const Bytes file = file_of(x, y, last);
  FILE* header = fopen(argv[1], "wb");
  if (!header) return 1;
  fprintf(header, "// A small model: two GRU layers of %u, a dense layer, and what they gave on the host.\n", kHidden);
  fprintf(header, "// SPDX-License-Identifier: Apache-2.0\n#include <stdalign.h>\n\n");
  fprintf(header, "alignas(64) static const unsigned char small_model[%zu] = {", file.size());
  for (size_t i = 0; i < file.size(); ++i) fprintf(header, "%s%u,", i % 24 ? "" : "\n", file[i]);
  fprintf(header, "\n};\n");
  return fclose(header);
}
