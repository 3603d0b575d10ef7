// The GRU against the textbook in double, and the same bits from every way of running it.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "harness.h"

using namespace grucore_test;

namespace {

// Against float64, |x| <= 4, T = 200. Seen: 3e-7. The contract of the project is 2e-6.
constexpr double kMostDifference = 2e-6;

struct Case {
  uint32_t input_size, hidden_size;
  bool reset_before;
};

std::vector<float> random_signal(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-4.0f, 4.0f);
  std::vector<float> x(count);
  for (float& v : x) v = uniform(random);
  return x;
}

Bytes gru_file(const textbook::Gru& gru) {
  FileBuilder file;
  const uint32_t x = file.value("x", gru.input_size);
  const uint32_t y = file.value("y", gru.hidden_size);
  file.input(x);
  file.output(y);
  file.gru("gru.l0", gru, x, y);
  return file.finish();
}

double largest_difference(const std::vector<float>& y, const textbook::Doubles& expected) {
  double most = 0;
  for (size_t i = 0; i < expected.size(); ++i) most = std::max(most, fabs(y[i] - expected[i]));
  return most;
}

// Every way of running one model gives the bits of `frame by frame`, and tables of one class agree.
void check_case(const Case& which, uint32_t seed) {
  const uint32_t frames = 200, batch = 11;
  const textbook::Gru gru = textbook::random_gru(which.input_size, which.hidden_size, which.reset_before, false, seed);
  const Bytes file = gru_file(gru);
  const std::vector<float> x = random_signal(size_t{batch} * frames * which.input_size, seed + 1);
  const size_t row_in = size_t{frames} * which.input_size, row_out = size_t{frames} * which.hidden_size;
  std::map<grucore::Numerics, std::vector<float>> of_class;
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file, isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    CHECK(grucore::model_isa(model.get()) == isa);
    const char* name = grucore::isa_name(isa);
    const std::vector<float> stepped = step_all(model, frames, x.data());

    textbook::Doubles h(which.hidden_size, 0.0);
    const textbook::Doubles x_row(x.begin(), x.begin() + static_cast<ptrdiff_t>(row_in));
    const double difference = largest_difference(stepped, textbook::run(gru, x_row, frames, &h));
    CHECK_SAYING(difference < kMostDifference, "%s I=%u H=%u reset_before=%d seed=%u: %g", name, which.input_size,
                 which.hidden_size, which.reset_before, seed, difference);

    for (const uint32_t block : {1u, 3u, 64u, 200u}) {
      const std::vector<float> row(x.begin(), x.begin() + static_cast<ptrdiff_t>(row_in));
      CHECK_SAYING(same_bits(run_all(model, 1, block, frames, row).data(), stepped.data(), row_out),
                   "%s I=%u H=%u block=%u", name, which.input_size, which.hidden_size, block);
      const std::vector<float> all = run_all(model, batch, block, frames, x);
      CHECK_SAYING(same_bits(all.data(), stepped.data(), row_out), "%s I=%u H=%u block=%u batch", name,
                   which.input_size, which.hidden_size, block);
      for (const uint32_t row_index : {3u, 8u, 10u}) {
        const std::vector<float> alone = step_all(model, frames, x.data() + row_index * row_in);
        CHECK_SAYING(same_bits(all.data() + row_index * row_out, alone.data(), row_out), "%s I=%u H=%u row %u", name,
                     which.input_size, which.hidden_size, row_index);
      }
    }
    std::vector<float>& first = of_class[grucore::model_numerics(model.get())];
    if (first.empty()) first = stepped;
    CHECK_SAYING(same_bits(first.data(), stepped.data(), row_out), "%s differs within its class", name);
  }
  CHECK(of_class.size() >= 1);
}

// Rows whose sequences end early, forward and reverse: 0 past the end, state of the last valid frame.
void check_lengths(bool reverse) {
  const uint32_t frames = 20, batch = 9, in = 5, hidden = 18;
  const textbook::Gru gru = textbook::random_gru(in, hidden, false, reverse, 77);
  const std::vector<float> x = random_signal(size_t{batch} * frames * in, 78);
  std::vector<uint32_t> lengths(batch);
  for (uint32_t row = 0; row < batch; ++row) lengths[row] = (row * 7) % (frames + 1);
  lengths[1] = frames;
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(gru_file(gru), isa);
    OwnedStream stream(model, batch, frames);
    std::vector<float> y(size_t{batch} * frames * hidden, -7.0f);
    const grucore::ConstSignal input = {x.data(), size_t{frames} * in, in};
    const grucore::Signal output = {y.data(), size_t{frames} * hidden, hidden};
    grucore::run(stream.get(), frames, &input, &output, lengths.data());
    for (uint32_t row = 0; row < batch; ++row) {
      textbook::Doubles h(hidden, 0.0);
      const textbook::Doubles x_row(x.begin() + static_cast<ptrdiff_t>(size_t{row} * frames * in), x.end());
      const textbook::Doubles expected = textbook::run(gru, x_row, lengths[row], &h);
      const float* got = y.data() + size_t{row} * frames * hidden;
      for (size_t i = 0; i < size_t{frames} * hidden; ++i) {
        if (i < expected.size()) {
          CHECK(fabs(got[i] - expected[i]) < kMostDifference);
        } else {
          CHECK(got[i] == 0.0f);
        }
      }
      std::vector<float> state(hidden);
      grucore::get_state(stream.get(), 0, row, state.data());
      for (uint32_t i = 0; i < hidden; ++i) CHECK(fabs(state[i] - h[i]) < kMostDifference);
    }
  }
}

}  // namespace

int main() {
  const uint32_t sizes[][2] = {{1, 1},  {1, 16}, {3, 5},   {24, 24}, {40, 64},
                               {7, 17}, {2, 28}, {13, 47}, {33, 80}, {5, 130}};
  uint32_t seed = 1;
  for (const auto& size : sizes) {
    for (const bool reset_before : {false, true}) check_case({size[0], size[1], reset_before}, seed += 2);
  }
  check_lengths(false);
  check_lengths(true);
  return finish("gru_test");
}
