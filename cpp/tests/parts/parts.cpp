// A build that left parts out runs the models that need no others, and refuses the rest by what is missing.
// SPDX-License-Identifier: Apache-2.0
#include "harness.h"
#include "portable.h"
#include "textbook_quantized.h"

using namespace grucore_test;

namespace {

constexpr uint32_t kIn = 4, kHidden = 20;

struct Network {
  bool reset_before = false;
  bool takes_last = false;
  uint32_t dense_activation = 1;  // sigmoid
};

Bytes network(const Network& of) {
  PortableRandom random(3);
  FileBuilder file;
  const uint32_t x = file.value("x", kIn), h = file.value("h", kHidden), y = file.value("y", kHidden);
  file.input(x);
  file.output(y);
  file.gru("gru", portable_gru(kIn, kHidden, of.reset_before, false, &random), x, h);
  file.dense("dense", portable_floats(kHidden * kHidden, 1, &random), portable_floats(kHidden, 1, &random),
             of.dense_activation, h, y);
  if (of.takes_last) {
    const uint32_t last = file.value("last", kHidden, 2);
    file.output(last);
    file.take("take", y, last);
  }
  return file.finish();
}

Bytes quantized(textbook::Kind kind) {
  const textbook::WeightKind weights = {kind, 8, "weights"};
  std::mt19937 random(3);
  FileBuilder file;
  const uint32_t x = file.value("x", kIn), h = file.value("h", kHidden);
  file.input(x);
  file.output(h);
  textbook::random_quantized_gru(weights, weights, kIn, kHidden, false, &random).put(&file, "gru", x, h);
  return file.finish();
}

void expect(const Bytes& bytes, Status status) {
  const LoadedModel model(bytes, grucore::best_isa());
  CHECK_EQ(model.status(), status);
  if (model.status() != Status::kOk) return;
  CHECK(grucore::model_isa(model.get()) == grucore::best_isa());
  const OwnedStream stream(model, 1, 1);
  float x[kIn] = {0.5f, -1, 2, 0.25f}, y[kHidden] = {};
  const void* inputs[] = {x};
  void* outputs[] = {y};
  CHECK(grucore::step(stream.get(), inputs, outputs) == 1);
  CHECK(y[0] != 0);
}

}  // namespace

int main() {
  expect(network({}), Status::kOk);
  expect(network({false, false, 0}), Status::kOk);
  expect(network({true}), Status::kBadAttribute);
  expect(network({false, true}), Status::kUnknownKind);
  expect(network({false, false, 3}), Status::kBadAttribute);
  expect(quantized(textbook::Kind::kInt8), Status::kOk);
  expect(quantized(textbook::Kind::kInt4), Status::kUnknownDtype);
  expect(quantized(textbook::Kind::kFloat16), Status::kUnknownDtype);
  CHECK_EQ(supported_isas().size(), size_t{1});
  return finish("parts");
}
