// Graphs around the GRU: dense, take, concat, both directions; rows that sit out; frames that are held.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "harness.h"

using namespace grucore_test;

namespace {

constexpr double kMostDifference = 2e-6;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<float> random_floats(size_t count, float bound, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-bound, bound);
  std::vector<float> x(count);
  for (float& v : x) v = uniform(random);
  return x;
}

double activate(uint32_t code, double x) {
  if (code == 1) return textbook::sigmoid(x);
  if (code == 2) return tanh(x);
  if (code == 3) return x < 0 ? 0 : x;
  return x;
}

textbook::Doubles dense(const std::vector<float>& weight, const std::vector<float>& bias, uint32_t activation,
                        const textbook::Doubles& x, uint32_t rows) {
  const size_t out = bias.size(), in = weight.size() / out;
  textbook::Doubles y(rows * out);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t i = 0; i < out; ++i) {
      double sum = bias[i];
      for (size_t k = 0; k < in; ++k) sum += static_cast<double>(weight[i * in + k]) * x[row * in + k];
      y[row * out + i] = activate(activation, sum);
    }
  }
  return y;
}

void expect_near(const float* got, const textbook::Doubles& expected, const char* what) {
  double most = 0;
  for (size_t i = 0; i < expected.size(); ++i) most = std::max(most, fabs(got[i] - expected[i]));
  CHECK_SAYING(most < kMostDifference, "%s: %g", what, most);
}

// Two layers and a dense one per frame, with each activation.
void check_stack(uint32_t activation) {
  const uint32_t in = 6, hidden = 21, out = 10, frames = 60, batch = 9;
  const textbook::Gru first = textbook::random_gru(in, hidden, false, false, 3);
  const textbook::Gru second = textbook::random_gru(hidden, hidden, true, false, 4);
  const std::vector<float> weight = random_floats(size_t{out} * hidden, 0.3f, 5), bias = random_floats(out, 0.3f, 6);
  FileBuilder file;
  const uint32_t x = file.value("x", in), a = file.value("a", hidden), b = file.value("b", hidden),
                 y = file.value("y", out);
  file.input(x);
  file.output(y);
  file.gru("gru.l0", first, x, a);
  file.gru("gru.l1", second, a, b);
  file.dense("linear", weight, bias, activation, b, y);
  const std::vector<float> signal = random_floats(size_t{batch} * frames * in, 4.0f, 7);
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file.finish(), isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    CHECK(grucore::macs_per_frame(model.get()) ==
          3ull * hidden * (in + hidden) + 3ull * hidden * (2 * hidden) + out * hidden);
    const std::vector<float> stepped = step_all(model, frames, signal.data());
    textbook::Doubles h0(hidden, 0.0), h1(hidden, 0.0);
    const textbook::Doubles frames_in(signal.begin(), signal.begin() + size_t{frames} * in);
    const textbook::Doubles middle = textbook::run(first, frames_in, frames, &h0);
    expect_near(stepped.data(), dense(weight, bias, activation, textbook::run(second, middle, frames, &h1), frames),
                "stack");
    for (const uint32_t block : {1u, 7u, 60u}) {
      const std::vector<float> all = run_all(model, batch, block, frames, signal);
      for (uint32_t row = 0; row < batch; ++row) {
        const std::vector<float> alone = step_all(model, frames, signal.data() + size_t{row} * frames * in);
        CHECK(same_bits(all.data() + size_t{row} * frames * out, alone.data(), alone.size()));
      }
    }
  }
}

// Both directions side by side, then the last frame, then a dense layer.
void check_bidirectional() {
  const uint32_t in = 4, hidden = 9, out = 3, frames = 23, batch = 5;
  const textbook::Gru forward = textbook::random_gru(in, hidden, false, false, 13);
  const textbook::Gru reverse = textbook::random_gru(in, hidden, false, true, 14);
  const std::vector<float> weight = random_floats(size_t{out} * 2 * hidden, 0.3f, 15),
                           bias = random_floats(out, 0.3f, 16);
  FileBuilder file;
  const uint32_t x = file.value("x", in), a = file.value("a", hidden), b = file.value("b", hidden),
                 both = file.value("both", 2 * hidden), last = file.value("last", 2 * hidden, 2),
                 y = file.value("y", out, 2);
  file.input(x);
  file.output(y);
  file.output(both);
  file.gru("gru.l0", forward, x, a);
  file.gru("gru.l0_reverse", reverse, x, b);
  file.concat("gru.concat", {a, b}, both);
  file.take("last", both, last);
  file.dense("linear", weight, bias, 0, last, y);
  const std::vector<float> signal = random_floats(size_t{batch} * frames * in, 4.0f, 17);
  const uint32_t lengths[batch] = {23, 1, 0, 12, 22};
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file.finish(), isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    CHECK(grucore::first_unstreamable_node(model.get()) == 1);
    OwnedStream stream(model, batch, frames);
    std::vector<float> answers(batch * out, -7.0f), sequence(size_t{batch} * frames * 2 * hidden, -7.0f);
    const void* one_frame = signal.data();
    void* nowhere[2] = {answers.data(), sequence.data()};
    CHECK(grucore::step(stream.get(), &one_frame, nowhere) == 0);
    const grucore::ConstSignal input = {signal.data(), size_t{frames} * in, in};
    const grucore::Signal outputs[2] = {{answers.data(), out, 0},
                                        {sequence.data(), size_t{frames} * 2 * hidden, 2 * hidden}};
    grucore::run(stream.get(), frames, &input, outputs, lengths);
    for (uint32_t row = 0; row < batch; ++row) {
      const uint32_t length = lengths[row];
      const auto begin = signal.begin() + size_t{row} * frames * in;
      const textbook::Doubles frames_in(begin, begin + size_t{length} * in);
      textbook::Doubles h0(hidden, 0.0), h1(hidden, 0.0), joined;
      const textbook::Doubles f = textbook::run(forward, frames_in, length, &h0),
                              r = textbook::run(reverse, frames_in, length, &h1);
      for (uint32_t t = 0; t < length; ++t) {
        joined.insert(joined.end(), f.begin() + t * hidden, f.begin() + (t + 1) * hidden);
        joined.insert(joined.end(), r.begin() + t * hidden, r.begin() + (t + 1) * hidden);
      }
      expect_near(sequence.data() + size_t{row} * frames * 2 * hidden, joined, "both directions");
      if (length == 0) {
        for (uint32_t i = 0; i < out; ++i) CHECK(answers[row * out + i] == 0.0f);
      } else {
        const textbook::Doubles tail(joined.end() - 2 * hidden, joined.end());
        expect_near(answers.data() + row * out, dense(weight, bias, 0, tail, 1), "last");
      }
    }
  }
}

Bytes small_file(uint32_t in, uint32_t hidden, bool reset_before, bool take_last) {
  FileBuilder file;
  const uint32_t x = file.value("x", in), y = file.value("y", hidden);
  file.input(x);
  file.gru("gru.l0", textbook::random_gru(in, hidden, reset_before, false, 23), x, y);
  if (take_last) {
    const uint32_t last = file.value("last", hidden, 2);
    file.take("last", y, last);
    file.output(last);
  } else {
    file.output(y);
  }
  return file.finish();
}

// Rows that sit out keep their state and their outputs; the others get the bits that they get alone.
void check_active_rows(bool reset_before) {
  const uint32_t in = 5, hidden = 19, batch = 13, frames = 12;
  const std::vector<float> signal = random_floats(size_t{frames} * batch * in, 2.0f, 31);
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(small_file(in, hidden, reset_before, false), isa);
    OwnedStream together(model, batch, 1);
    std::vector<std::unique_ptr<OwnedStream>> alone;
    for (uint32_t row = 0; row < batch; ++row) alone.push_back(std::make_unique<OwnedStream>(model, 1, 1));
    for (uint32_t t = 0; t < frames; ++t) {
      std::vector<uint32_t> active;
      for (uint32_t row = 0; row < batch; ++row) {
        if ((row * 5 + t * 3) % 4 != 0) active.push_back(row);
      }
      std::vector<float> out(batch * hidden, -7.0f);
      const void* x = signal.data() + size_t{t} * batch * in;
      void* y = out.data();
      CHECK(grucore::step_rows(together.get(), &x, &y, active.data(), static_cast<uint32_t>(active.size())) == 1);
      for (uint32_t row = 0; row < batch; ++row) {
        if (!std::binary_search(active.begin(), active.end(), row)) {
          for (uint32_t i = 0; i < hidden; ++i) CHECK(out[row * hidden + i] == -7.0f);
          continue;
        }
        std::vector<float> expected(hidden);
        const void* x_row = signal.data() + (size_t{t} * batch + row) * in;
        void* y_row = expected.data();
        (void)grucore::step(alone[row]->get(), &x_row, &y_row);
        CHECK(same_bits(out.data() + row * hidden, expected.data(), hidden));
      }
    }
    const uint32_t some[2] = {2, 7};
    grucore::reset_rows(together.get(), some, 2);
    std::vector<float> state(hidden);
    grucore::get_state(together.get(), 0, 7, state.data());
    for (float h : state) CHECK(h == 0.0f);
    grucore::get_state(together.get(), 0, 8, state.data());
    CHECK(std::any_of(state.begin(), state.end(), [](float h) { return h != 0.0f; }));
  }
}

// A held frame is as if it had not come, but for its outputs, which are NaN; other rows do not notice.
void check_hold(bool take_last) {
  const uint32_t in = 3, hidden = 8, frames = 10, batch = 3, bad_row = 1;
  std::vector<float> signal = random_floats(size_t{batch} * frames * in, 2.0f, 41);
  const std::vector<uint32_t> bad_frames = {4, 5, 9};
  std::vector<float> without;
  for (uint32_t t = 0; t < frames; ++t) {
    float* frame = signal.data() + (size_t{bad_row} * frames + t) * in;
    if (std::find(bad_frames.begin(), bad_frames.end(), t) != bad_frames.end()) {
      frame[t % in] = t == 5 ? std::numeric_limits<float>::infinity() : kNaN;
    } else {
      without.insert(without.end(), frame, frame + in);
    }
  }
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(small_file(in, hidden, false, take_last), isa);
    for (const uint32_t block : {1u, 4u, 10u}) {
      OwnedStream stream(model, batch, block, grucore::Nonfinite::kHold);
      const uint32_t answers = take_last ? 1 : frames;
      std::vector<float> y(size_t{batch} * answers * hidden);
      const grucore::ConstSignal input = {signal.data(), size_t{frames} * in, in};
      const grucore::Signal output = {y.data(), size_t{answers} * hidden, hidden};
      grucore::run(stream.get(), frames, &input, &output, nullptr);
      CHECK(grucore::take_flags(stream.get()) == grucore::kFlagNonfiniteInput);
      CHECK(grucore::take_flags(stream.get()) == 0);
      const float* row = y.data() + size_t{bad_row} * answers * hidden;
      if (take_last) {
        for (uint32_t i = 0; i < hidden; ++i) CHECK(std::isnan(row[i]));  // the last frame was held
      } else {
        const std::vector<float> expected = step_all(model, static_cast<uint32_t>(without.size()) / in, without.data());
        size_t next = 0;
        for (uint32_t t = 0; t < frames; ++t, row += hidden) {
          if (std::find(bad_frames.begin(), bad_frames.end(), t) != bad_frames.end()) {
            for (uint32_t i = 0; i < hidden; ++i) CHECK(std::isnan(row[i]));
          } else {
            CHECK(same_bits(row, expected.data() + next, hidden));
            next += hidden;
          }
        }
      }
      const std::vector<float> neighbour = step_all(model, frames, signal.data() + 2 * size_t{frames} * in);
      CHECK(same_bits(y.data() + 2 * size_t{answers} * hidden, neighbour.data(), neighbour.size()));

      // step says the same, frame by frame
      OwnedStream stepper(model, batch, 1, grucore::Nonfinite::kHold);
      for (uint32_t t = 0; t < frames; ++t) {
        std::vector<float> x(batch * in), out(batch * hidden);
        for (uint32_t r = 0; r < batch; ++r)
          std::copy_n(signal.data() + (size_t{r} * frames + t) * in, in, x.data() + r * in);
        const void* xs = x.data();
        void* ys = out.data();
        (void)grucore::step(stepper.get(), &xs, &ys);
        for (uint32_t r = 0; r < batch && !take_last; ++r) {
          const float* expected = y.data() + (size_t{r} * frames + t) * hidden;
          CHECK(same_bits(out.data() + r * hidden, expected, hidden));
        }
      }
    }
  }
}

// With propagation a NaN stays in its own row, and reset recovers it.
void check_propagate() {
  const uint32_t in = 3, hidden = 20, batch = 17;
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(small_file(in, hidden, false, false), isa);
    OwnedStream stream(model, batch, 1);
    std::vector<float> x(batch * in, 0.5f), y(batch * hidden), clean(batch * hidden);
    const void* xs = x.data();
    void* ys = y.data();
    x[6 * in] = kNaN;
    for (int i = 0; i < 3; ++i) (void)grucore::step(stream.get(), &xs, &ys);
    CHECK((grucore::take_flags(stream.get()) & grucore::kFlagNonfiniteInput) != 0);
    for (uint32_t row = 0; row < batch; ++row) {
      for (uint32_t i = 0; i < hidden; ++i) CHECK(std::isnan(y[row * hidden + i]) == (row == 6));
    }
    x[6 * in] = 0.5f;
    grucore::reset(stream.get());
    (void)grucore::step(stream.get(), &xs, &ys);
    for (uint32_t row = 1; row < batch; ++row) CHECK(same_bits(y.data(), y.data() + row * hidden, hidden));
    CHECK(grucore::take_flags(stream.get()) == 0);
  }
}

}  // namespace

int main() {
  for (const uint32_t activation : {0u, 1u, 2u, 3u}) check_stack(activation);
  check_bidirectional();
  check_active_rows(false);
  check_active_rows(true);
  check_hold(false);
  check_hold(true);
  check_propagate();
  return finish("graph_test");
}
