// The owners of grucore.hpp: models are shared, streams move and copy, refusals are exceptions that say where.
// SPDX-License-Identifier: Apache-2.0
#include "grucore/grucore.hpp"

#include <string>

#include "check.h"
#include "file_builder.h"

namespace {

using grucore::OwnedStream;
using grucore::SharedModel;
using grucore::Status;
using grucore_test::Bytes;

constexpr uint32_t kFrames = 9;

Bytes one_output() {
  const uint32_t in = 3, hidden = 5, out = 2;
  grucore_test::FileBuilder file;
  const uint32_t x = file.value("x", in), h = file.value("h", hidden), y = file.value("y", out);
  file.input(x);
  file.output(y);
  file.gru("gru.l0", textbook::random_gru(in, hidden, false, false, 5), x, h);
  file.dense("linear", textbook::Floats(out * hidden, 0.25f), textbook::Floats(out, -0.5f), 1, h, y);
  return file.finish();
}

std::vector<float> signal(uint32_t count) {
  std::vector<float> values(count);
  for (uint32_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % 7) / 4 - 0.75f;
  return values;
}

std::vector<float> run(OwnedStream* stream, const std::vector<float>& x, uint32_t frames) {
  std::vector<float> y(stream->output_frames(frames) * stream->model().output_features());
  stream->run(x.data(), y.data(), frames);
  return y;
}

std::vector<float> step(OwnedStream* stream, const std::vector<float>& x, uint32_t frames) {
  const uint32_t in = stream->model().input_features(), out = stream->model().output_features();
  std::vector<float> y(frames * out);
  for (uint32_t t = 0; t < frames; ++t) CHECK(stream->step(x.data() + t * in, y.data() + t * out));
  return y;
}

void test_streams_keep_their_model(const Bytes& file) {
  OwnedStream stream;
  {
    const SharedModel model = SharedModel::load(file.data(), file.size());
    stream = OwnedStream(model);
  }
  const std::vector<float> x = signal(kFrames * stream.model().input_features());
  const std::vector<float> whole = run(&stream, x, kFrames);
  stream.reset();
  CHECK(step(&stream, x, kFrames) == whole);
  CHECK(stream.take_flags() == 0);
  OwnedStream moved = std::move(stream);
  CHECK(stream.get() == nullptr && moved.get() != nullptr);
  moved.reset();
  CHECK(step(&moved, x, kFrames) == whole);
}

void test_copies_go_on_alone(const Bytes& file) {
  const SharedModel model = SharedModel::load(file.data(), file.size());
  OwnedStream stream(model);
  const std::vector<float> x = signal(kFrames * model.input_features());
  (void)run(&stream, x, kFrames);
  OwnedStream copy = stream.copy();
  const std::vector<float> next = run(&stream, x, kFrames);
  CHECK(run(&copy, x, kFrames) == next);
}

void test_states_have_names(const Bytes& file) {
  const SharedModel model = SharedModel::load(file.data(), file.size());
  const grucore::StateInfo info = grucore::state_info(model.get(), 0);
  const uint32_t index = model.find_state(std::string(info.node.bytes, info.node.length) + info.suffix);
  CHECK(index == 0 && model.find_state("nobody.h") == grucore::kNone);
  OwnedStream stream(model), other(model);
  const std::vector<float> x = signal(model.input_features());
  (void)step(&stream, x, 1);
  const std::vector<float> h = stream.state(index);
  CHECK(h.size() == info.size && h != other.state(index));
  other.set_state(index, h.data());
  CHECK(step(&other, x, 1) == step(&stream, x, 1));
}

void test_refusals(Bytes file) {
  SharedModel model;
  grucore::LoadReport report;
  file.back() ^= 1;
  CHECK(SharedModel::make(file.data(), file.size(), &model, grucore::Isa::scalar, &report) == Status::kBadChecksum);
  CHECK(!model && report.status == Status::kBadChecksum);
  bool caught = false;
  try {
    (void)SharedModel::load(file.data(), file.size());
  } catch (const grucore::Error& error) {
    caught = error.status() == Status::kBadChecksum && error.report().status == Status::kBadChecksum &&
             std::string(error.what()).find("kBadChecksum: the checksum does not match") == 0;
  }
  CHECK(caught);
  caught = false;
  try {
    (void)SharedModel::load("no such file.gru");
  } catch (const std::runtime_error& error) {
    caught = std::string(error.what()) == "no such file.gru: cannot be read";
  }
  CHECK(caught);
  file.back() ^= 1;
  caught = false;
  try {
    grucore::StreamOptions options;
    options.batch = 0;
    OwnedStream(SharedModel::load(file.data(), file.size()), options).reset();
  } catch (const grucore::Error& error) {
    caught = error.status() == Status::kBadArgument;
  }
  CHECK(caught);
}

}  // namespace

int main() {
  const Bytes file = one_output();
  test_streams_keep_their_model(file);
  test_copies_go_on_alone(file);
  test_states_have_names(file);
  test_refusals(file);
  return grucore_test::finish("owners_test");
}
