// The LSTM and the plain recurrent layer against the textbook in double, and the same bits from every way of running.
// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "harness.h"
#include "textbook_gates.h"

using namespace grucore_test;
using textbook::Gates;
using textbook::Kind;
using textbook::WeightKind;

namespace {

constexpr WeightKind kFloat = {Kind::kFloat32, 0, "float32"};
constexpr WeightKind kKinds[] = {{Kind::kInt8, 8, "int8/8"},
                                 {Kind::kInt8, 16, "int8/16"},
                                 {Kind::kInt4, 8, "int4/8"},
                                 {Kind::kInt4, 16, "int4/16"},
                                 {Kind::kFloat16, 0, "float16"}};

const char* name_of(const Gates& layer) { return layer.is_lstm ? "lstm" : "rnn"; }

Bytes file_of(const Gates& layer) {
  FileBuilder file;
  const uint32_t x = file.value("x", layer.ih.inputs), y = file.value("y", layer.hidden());
  file.input(x);
  file.output(y);
  layer.put(&file, "layer.l0", {x}, y);
  return file.finish();
}

double largest_difference(const std::vector<float>& y, const textbook::Doubles& expected) {
  double most = 0;
  for (size_t i = 0; i < expected.size(); ++i) most = std::max(most, fabs(y[i] - expected[i]));
  return most;
}

std::vector<float> state_of(const grucore::Stream* stream, uint32_t state, uint32_t row, uint32_t hidden) {
  std::vector<float> values(hidden);
  grucore::get_state(stream, state, row, values.data());
  return values;
}

// `frames`, or as many as take blocks of 1 and 3 and what is left.
uint32_t some_of(uint32_t frames) { return kSanitized ? std::min(frames, 4u) : frames; }

// Frame by frame near the textbook; each block and batch, and each table of a class, gives the same bits.
void check_case(const Gates& layer, uint32_t frames, float loudness, double bound, const char* what,
                std::mt19937* random) {
  const uint32_t batch = 11, in = layer.ih.inputs, hidden = layer.hidden();
  const std::vector<float> x = textbook::random_signal(size_t{batch} * frames * in, loudness, random);
  const size_t row_in = size_t{frames} * in, row_out = size_t{frames} * hidden;
  Gates::State state = layer.initial();
  const textbook::Doubles expected = layer.run(x.data(), frames, &state);
  std::map<grucore::Numerics, std::vector<float>> of_class;
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file_of(layer), isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    const char* name = grucore::isa_name(isa);
    const std::vector<float> stepped = step_all(model, frames, x.data());
    const double difference = largest_difference(stepped, expected);
    CHECK_SAYING(difference < bound, "%s %s %s I=%u H=%u: %g", name, name_of(layer), what, in, hidden, difference);
    std::vector<std::vector<float>> alone(batch);
    for (const uint32_t index : {0u, 1u, 5u, 10u}) alone[index] = step_all(model, frames, x.data() + index * row_in);
    for (const uint32_t block : {1u, 3u, frames}) {
      for (const uint32_t rows : {1u, 2u, batch}) {
        const std::vector<float> some(x.begin(), x.begin() + static_cast<ptrdiff_t>(rows * row_in));
        const std::vector<float> all = run_all(model, rows, block, frames, some);
        for (uint32_t index = 0; index < rows; ++index) {
          if (alone[index].empty()) continue;
          CHECK_SAYING(same_bits(all.data() + index * row_out, alone[index].data(), row_out),
                       "%s %s %s I=%u H=%u block=%u row %u of %u", name, name_of(layer), what, in, hidden, block, index,
                       rows);
        }
      }
    }
    std::vector<float>& first = of_class[grucore::model_numerics(model.get())];
    if (first.empty()) first = stepped;
    CHECK_SAYING(same_bits(first.data(), stepped.data(), row_out), "%s %s %s I=%u H=%u differs within its class", name,
                 name_of(layer), what, in, hidden);
  }
  if (layer.ih.kind >= Kind::kInt8 && layer.hh.kind >= Kind::kInt8) CHECK(of_class.size() == 1);
}

void check_floats(std::mt19937* random) {
  const uint32_t sizes[][2] = {{1, 1},  {1, 16},  {3, 5},   {24, 24}, {40, 64},  {7, 17},
                               {2, 28}, {13, 47}, {33, 80}, {5, 130}, {20, 100}, {9, 200}};
  for (const auto& size : sizes) {
    for (const bool is_lstm : {false, true}) {
      const Gates layer = textbook::random_gates(is_lstm, kFloat, kFloat, size[0], size[1], random);
      check_case(layer, some_of(60), 4.0f, 2e-6, "float32", random);
    }
  }
}

void check_kinds(std::mt19937* random) {
  const uint32_t sizes[][2] = {{1, 16}, {3, 5}, {24, 24}, {40, 64}, {7, 17}, {13, 47}, {33, 80}};
  const WeightKind mixed[][2] = {{kKinds[4], kKinds[1]}, {kKinds[0], kFloat}, {kKinds[2], kKinds[1]}};
  for (const auto& size : sizes) {
    for (const bool is_lstm : {false, true}) {
      const auto check = [&](const WeightKind& in, const WeightKind& recurrent) {
        Gates layer = textbook::random_gates(is_lstm, in, recurrent, size[0], size[1], random);
        // Activations of 8 bits err by up to 1/254 each; of 16 by 128 times less; halves not at all.
        const bool has_short = in.bits == 8 || recurrent.bits == 8, has_float = !in.bits && !recurrent.bits;
        check_case(layer, some_of(20), 4.0f, has_float ? 1e-5 : has_short ? 0.3 : 3e-3, in.name, random);
        if (!in.bits) return;
        layer.input_range = 4.0f;
        check_case(layer, some_of(20), 4.0f, has_short ? 0.3 : 3e-3, in.name, random);
      };
      for (const WeightKind& kind : kKinds) check(kind, kind);
      for (const auto& pair : mixed) check(pair[0], pair[1]);
    }
  }
  // As many products as tile registers are worth.
  const WeightKind narrow = {textbook::Kind::kInt8, 8, "int8/8"};
  check_case(textbook::random_gates(true, narrow, narrow, 20, 110, random), some_of(6), 4.0f, 0.3, narrow.name, random);
}

// Every activation in every place.
void check_activations(std::mt19937* random) {
  for (uint32_t code = 0; code < 15; ++code) {
    const textbook::Activation activation = {code,
                                             code == 6               ? 0.2f
                                             : code == 13            ? -0.5f
                                             : code >= 4 && code < 6 ? 0.1f
                                                                     : 0.0f,
                                             code == 6 || code == 13 ? 0.5f : 0.0f};
    for (const WeightKind& kind : {kFloat, kKinds[1]}) {
      const double bound = kind.bits ? 0.1 : 1e-5;
      Gates plain = textbook::random_gates(false, kind, kind, 5, 19, random);
      plain.candidate = activation;
      check_case(plain, code == 14 ? 2 : 6, 0.5f, bound, "activation", random);
      Gates layer = textbook::random_gates(true, kind, kind, 5, 19, random);
      for (const int place : {0, 1, 2}) {
        layer.gate = place == 0 ? activation : textbook::Activation{1};
        layer.candidate = place == 1 ? activation : textbook::Activation{2};
        layer.cell = place == 2 ? activation : textbook::Activation{7};
        check_case(layer, 4, 0.5f, bound, "activation", random);
      }
    }
  }
}

// Initial states, sequences that end early, both directions: outputs are 0 past the end, states those of the last
// valid frame; then they are set and read back.
void check_lengths(bool is_lstm, bool reverse, std::mt19937* random) {
  const uint32_t frames = 20, batch = 9, in = 5, hidden = 18;
  Gates layer = textbook::random_gates(is_lstm, kFloat, kFloat, in, hidden, random);
  layer.reverse = reverse;
  layer.initial_h = textbook::random_signal(hidden, 0.5f, random);
  if (is_lstm) layer.initial_c = textbook::random_signal(hidden, 0.5f, random);
  const std::vector<float> x = textbook::random_signal(size_t{batch} * frames * in, 2.0f, random);
  std::vector<uint32_t> lengths(batch);
  for (uint32_t row = 0; row < batch; ++row) lengths[row] = (row * 7) % (frames + 1);
  lengths[1] = frames;
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file_of(layer), isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    CHECK_EQ(grucore::state_count(model.get()), is_lstm ? 2u : 1u);
    CHECK(grucore::first_unstreamable_node(model.get()) == (reverse ? 0 : grucore::kNone));
    CHECK_EQ(grucore::macs_per_frame(model.get()), (is_lstm ? 4u : 1u) * hidden * (in + hidden));
    OwnedStream stream(model, batch, frames);
    std::vector<float> y(size_t{batch} * frames * hidden, -7.0f);
    const grucore::ConstSignal input = {x.data(), size_t{frames} * in, in};
    const grucore::Signal output = {y.data(), size_t{frames} * hidden, hidden};
    grucore::run(stream.get(), frames, &input, &output, lengths.data());
    for (uint32_t row = 0; row < batch; ++row) {
      Gates::State state = layer.initial();
      const textbook::Doubles expected = layer.run(x.data() + size_t{row} * frames * in, lengths[row], &state);
      const float* got = y.data() + size_t{row} * frames * hidden;
      for (size_t i = 0; i < size_t{frames} * hidden; ++i) {
        CHECK(i < expected.size() ? fabs(got[i] - expected[i]) < 2e-6 : got[i] == 0.0f);
      }
      const std::vector<float> h = state_of(stream.get(), 0, row, hidden);
      for (uint32_t i = 0; i < hidden; ++i) CHECK(fabs(h[i] - state.h[i]) < 2e-6);
      if (!is_lstm) continue;
      const std::vector<float> c = state_of(stream.get(), 1, row, hidden);
      for (uint32_t i = 0; i < hidden; ++i) CHECK(fabs(c[i] - state.c[i]) < 2e-6);
      grucore::set_state(stream.get(), 0, row, c.data());
      CHECK(state_of(stream.get(), 0, row, hidden) == c && state_of(stream.get(), 1, row, hidden) == c);
    }
    grucore::reset(stream.get());
    for (uint32_t row = 0; row < batch; ++row) {
      CHECK(state_of(stream.get(), 0, row, hidden) == layer.initial_h);
      if (is_lstm) CHECK(state_of(stream.get(), 1, row, hidden) == layer.initial_c);
    }
  }
}

// A closed frame leaves both states, and gives h or zeros.
void check_mask(bool is_lstm, bool zeros, std::mt19937* random) {
  const uint32_t frames = 9, in = 4, hidden = 21;
  const int32_t open[frames] = {0, 1, 1, 0, 1, 0, 0, 1, 0};
  Gates layer = textbook::random_gates(is_lstm, kFloat, kFloat, in, hidden, random);
  layer.masked_is_zero = zeros;
  layer.initial_h = textbook::random_signal(hidden, 0.5f, random);
  FileBuilder file;
  const uint32_t x = file.value("x", in), m = file.int_value("m", 1), y = file.value("y", hidden);
  file.input(x);
  file.input(m);
  file.output(y);
  layer.put(&file, "layer", {x, m}, y);
  const std::vector<float> signal = textbook::random_signal(size_t{frames} * in, 2.0f, random);
  Gates::State state = layer.initial();
  const textbook::Doubles expected = layer.run(signal.data(), frames, &state, open);
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file.finish(), isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    for (const uint32_t block : {1u, 4u, frames}) {
      OwnedStream stream(model, 1, block);
      std::vector<float> all(size_t{frames} * hidden);
      const grucore::ConstSignal inputs[2] = {{signal.data(), 0, in}, {open, 0, 1}};
      const grucore::Signal output = {all.data(), 0, hidden};
      grucore::run(stream.get(), frames, inputs, &output, nullptr);
      CHECK(largest_difference(all, expected) < 2e-6);
    }
  }
}

// Some rows of a batch step and the others stay; a frame that is not finite is held, or reaches its own row only.
void check_rows(const WeightKind& kind, std::mt19937* random) {
  const uint32_t batch = 5, in = 6, hidden = 33, frames = 12;
  const Gates layer = textbook::random_gates(true, kind, kind, in, hidden, random);
  const std::vector<float> x = textbook::random_signal(size_t{frames} * batch * in, 2.0f, random);
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file_of(layer), isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    OwnedStream together(model, batch, 1), held(model, batch, 1, grucore::Nonfinite::kHold);
    std::vector<std::unique_ptr<OwnedStream>> alone;
    for (uint32_t row = 0; row < batch; ++row) alone.push_back(std::make_unique<OwnedStream>(model, 1, 1));
    for (uint32_t t = 0; t < frames; ++t) {
      std::vector<float> frame(x.begin() + static_cast<ptrdiff_t>(size_t{t} * batch * in),
                               x.begin() + static_cast<ptrdiff_t>(size_t{t + 1} * batch * in));
      std::vector<uint32_t> rows;
      for (uint32_t row = 0; row < batch; ++row) {
        if ((t + row) % 3) rows.push_back(row);
      }
      std::vector<float> y(batch * hidden, -7.0f), other(batch * hidden);
      const void* from = frame.data();
      void* to = y.data();
      grucore::step_rows(together.get(), &from, &to, rows.data(), static_cast<uint32_t>(rows.size()));
      for (uint32_t row = 0; row < batch; ++row) {
        if ((t + row) % 3 == 0) {
          CHECK(y[row * hidden] == -7.0f);
          frame[row * in + t % in] = t % 2 ? NAN : INFINITY;
          continue;
        }
        std::vector<float> single(hidden);
        const void* one = frame.data() + row * in;
        void* out = single.data();
        CHECK(grucore::step(alone[row]->get(), &one, &out) == 1);
        CHECK(same_bits(single.data(), y.data() + row * hidden, hidden));
      }
      to = other.data();
      CHECK(grucore::step(held.get(), &from, &to) == 1);
      for (uint32_t row = 0; row < batch; ++row) {
        if ((t + row) % 3) CHECK(same_bits(other.data() + row * hidden, y.data() + row * hidden, hidden));
      }
    }
    for (uint32_t row = 0; row < batch; ++row) {
      for (uint32_t state = 0; state < 2; ++state) {
        const std::vector<float> expected = state_of(alone[row]->get(), state, 0, hidden);
        CHECK(state_of(together.get(), state, row, hidden) == expected);
        CHECK(state_of(held.get(), state, row, hidden) == expected);
      }
    }
  }
}

}  // namespace

int main() {
  std::mt19937 random(1);
  check_floats(&random);
  check_kinds(&random);
  check_activations(&random);
  for (const bool is_lstm : {false, true}) {
    for (const bool second : {false, true}) {
      check_lengths(is_lstm, second, &random);
      check_mask(is_lstm, second, &random);
    }
  }
  check_rows(kFloat, &random);
  check_rows(kKinds[1], &random);
  return finish("gates_test");
}
