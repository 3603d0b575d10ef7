// The facts that a model tells of itself: ids of its inputs, shapes of its states, rounded products, names of roles.
// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "harness.h"
#include "textbook_quantized.h"

using namespace grucore_test;

namespace {

std::string text_of(const grucore::Text& text) { return std::string(text.bytes, text.length); }

// The smallest of the embeddings that read an input, whatever hands the ids on.
void check_ids() {
  const uint32_t width = 3;
  FileBuilder file;
  const uint32_t a = file.int_value("a", 1), b = file.int_value("b", 2), c = file.int_value("c", 1),
                 x = file.value("x", 4), both = file.int_value("both", 3), back = file.int_value("back", 2),
                 first = file.value("first", 3 * width), second = file.value("second", 2 * width),
                 closed = file.int_value("closed", 1);
  for (const uint32_t input : {a, b, c, x}) file.input(input);
  for (const uint32_t output : {x, first, second, closed}) file.output(output);
  file.concat("both", {a, b}, both);
  file.node(14, "back", {b}, back, {}, 0);
  file.table_tensor(7, 9, width, textbook::Floats(9 * width, 0.5f));
  file.node(5, "first", {both}, first, {}, 1);
  file.table_tensor(7, 6, width, textbook::Floats(6 * width, 0.5f));
  file.node(5, "second", {back}, second, {}, 1);
  file.node(13, "closed", {c}, closed, {0}, 0);
  const LoadedModel model(file.finish(), Isa::scalar);
  if (!CHECK(model.status() == Status::kOk)) return;
  const uint32_t expected[] = {9, 6, 0, 0};
  for (uint32_t i = 0; i < 4; ++i) CHECK_EQ(grucore::input_info(model.get(), i).ids, expected[i]);
}

struct Expected {
  const char* name;
  uint32_t size, frames, channels;
  bool is_public;
};

void check_states() {
  const uint32_t channels = 5, taps = 4, hidden = 6;
  FileBuilder file;
  const uint32_t x = file.value("x", channels), c = file.value("c", hidden, 0, 1, 0),
                 p = file.value("p", hidden, 0, 1, 2), h = file.value("h", hidden, 0, 1, 2),
                 last = file.value("last", hidden, 2);
  file.input(x);
  file.output(last);
  file.tensor(4, 1, hidden, 0, textbook::Floats(hidden, 0.5f).data());
  file.tensor(5, 1, hidden, taps * channels, textbook::Floats(hidden * taps * channels, 0.25f).data());
  file.node(15, "conv", {x}, c, {taps, 1, 1, 1, taps - 1, 0, 0, 0, 0}, 2);
  file.node(16, "window", {c}, p, {1, 3, 1}, 0);
  file.gru("gru", textbook::random_gru(hidden, hidden, false, false, 3), p, h);
  file.take("last", h, last);
  const LoadedModel model(file.finish(), Isa::scalar);
  if (!CHECK(model.status() == Status::kOk)) return;
  const Expected expected[] = {{"conv.history", 15, 3, 5, true},
                               {"window.history", 12, 2, 6, true},
                               {"gru.h", 6, 0, 6, true},
                               {"last.frame", 7, 0, 7, false}};
  CHECK_EQ(grucore::state_count(model.get()), 4u);
  for (uint32_t i = 0; i < 4; ++i) {
    const grucore::StateInfo state = grucore::state_info(model.get(), i);
    const std::string name = text_of(state.node) + state.suffix;
    CHECK_SAYING(name == expected[i].name, "state %u is %s, not %s", i, name.c_str(), expected[i].name);
    CHECK(state.size == expected[i].size && state.frames == expected[i].frames);
    CHECK(state.channels == expected[i].channels && state.is_public == expected[i].is_public);
  }
}

// A dense layer of int8 weights rounds what it reads; a table of int8 is only read.
void check_rounding() {
  const uint32_t in = 5, out = 7, ids = 4;
  for (const bool quantized : {false, true}) {
    FileBuilder file;
    const uint32_t x = file.value("x", in), y = file.value("y", out);
    file.input(x);
    file.output(y);
    file.tensor(4, 1, out, 0, textbook::Floats(out, 0.5f).data());
    uint32_t tensors = 2;
    if (quantized) {
      std::mt19937 random(3);
      const textbook::Matrix matrix = textbook::random_matrix(textbook::Kind::kInt8, 16, 1, out, in, &random);
      textbook::put_weights(&file, 5, matrix);
      tensors += textbook::put_scale(&file, 15, matrix);
    } else {
      file.tensor(5, 1, out, in, textbook::Floats(out * in, 0.25f).data());
    }
    file.node(2, "dense", {x}, y, {0, 0, 0}, tensors);
    const LoadedModel model(file.finish(), Isa::scalar);
    if (!CHECK(model.status() == Status::kOk)) return;
    CHECK_EQ(grucore::rounds_activations(model.get()), quantized);
  }
  FileBuilder file;
  const uint32_t x = file.int_value("x", 1), y = file.value("y", 16);
  file.input(x);
  file.output(y);
  file.any_tensor({7, 3, 3, {ids, 16, 0}, {0, 0, 0, 0}, Bytes(ids * 16, 1)});
  file.vector_tensor(16, textbook::Floats(ids, 0.5f));
  file.node(5, "embedding", {x}, y, {}, 2);
  const LoadedModel model(file.finish(), Isa::scalar);
  if (!CHECK(model.status() == Status::kOk)) return;
  CHECK(!grucore::rounds_activations(model.get()) && grucore::model_numerics(model.get()) == grucore::Numerics::kExact);
}

void check_roles() {
  CHECK(std::string(grucore::role_name(1)) == "weight_ih" && std::string(grucore::role_name(65)) == "test_output");
  for (const uint32_t none : {0u, 40u, 66u, grucore::kNone}) CHECK(grucore::role_name(none)[0] == '\0');
}

}  // namespace

int main() {
  check_ids();
  check_states();
  check_rounding();
  check_roles();
  return finish("info_test");
}
