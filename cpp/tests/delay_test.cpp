// Delays: what comes out some frames later, networks that feed back, and files whose loops cannot run.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "harness.h"

using namespace grucore_test;

namespace {

constexpr double kMostDifference = 2e-6;

std::vector<float> random_floats(size_t count, float bound, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-bound, bound);
  std::vector<float> x(count);
  for (float& v : x) v = uniform(random);
  return x;
}

struct Feedback {
  uint32_t in, hidden, delay;
  std::vector<float> weight, bias, initial;  // (hidden, in + hidden), (hidden,), (delay, hidden)
};

Feedback random_feedback(uint32_t in, uint32_t hidden, uint32_t delay) {
  return {in,
          hidden,
          delay,
          random_floats(size_t{hidden} * (in + hidden), 0.2f, in + hidden),
          random_floats(hidden, 0.4f, hidden),
          random_floats(size_t{delay} * hidden, 1.0f, delay)};
}

void put_delay(FileBuilder* file, const Feedback& net, uint32_t x, uint32_t y) {
  Bytes bytes(net.initial.size() * 4);
  memcpy(bytes.data(), net.initial.data(), bytes.size());
  file->any_tensor({6, 0, 1, {net.delay, net.hidden, 0}, {0, 0, 0, 0}, bytes});
  file->node(19, "delay", {x}, y, {net.delay}, 1);
}

// h = tanh(weight [x, h of some frames ago] + bias), between a gru before the loop and a dense layer after it.
struct Network {
  Feedback net;
  textbook::Gru gru;
  std::vector<float> weight, bias;  // of the last layer
};

Network random_network(uint32_t in, uint32_t hidden, uint32_t delay) {
  return {random_feedback(in, hidden, delay), textbook::random_gru(in, in, false, false, 7),
          random_floats(3 * size_t{hidden}, 0.3f, 5), random_floats(3, 0.3f, 6)};
}

Bytes file_of(const Network& network) {
  const Feedback& net = network.net;
  FileBuilder file;
  const uint32_t x = file.value("x", net.in), before = file.value("before", net.in),
                 past = file.value("past", net.hidden), both = file.value("both", net.in + net.hidden),
                 h = file.value("h", net.hidden), y = file.value("y", 3);
  file.input(x);
  file.output(y);
  file.gru("gru", network.gru, x, before);
  put_delay(&file, net, h, past);
  file.concat("concat", {before, past}, both);
  file.dense("cell", net.weight, net.bias, 2, both, h);
  file.dense("out", network.weight, network.bias, 0, h, y);
  return file.finish();
}

std::vector<double> expected_of(const Network& network, const float* x, uint32_t frames) {
  const Feedback& net = network.net;
  textbook::Doubles h0(net.in, 0.0);
  const textbook::Doubles signal(x, x + size_t{frames} * net.in);
  const textbook::Doubles before = textbook::run(network.gru, signal, frames, &h0);
  std::vector<double> states(net.initial.begin(), net.initial.end()), y;  // (delay + frames, hidden)
  for (uint32_t t = 0; t < frames; ++t) {
    const size_t past = size_t{t} * net.hidden;
    for (uint32_t i = 0; i < net.hidden; ++i) {
      const float* row = net.weight.data() + size_t{i} * (net.in + net.hidden);
      double sum = net.bias[i];
      for (uint32_t k = 0; k < net.in; ++k) sum += static_cast<double>(row[k]) * before[size_t{t} * net.in + k];
      for (uint32_t k = 0; k < net.hidden; ++k) sum += static_cast<double>(row[net.in + k]) * states[past + k];
      states.push_back(tanh(sum));
    }
    for (uint32_t o = 0; o < 3; ++o) {
      double sum = network.bias[o];
      for (uint32_t k = 0; k < net.hidden; ++k) {
        sum += static_cast<double>(network.weight[size_t{o} * net.hidden + k]) * states[states.size() - net.hidden + k];
      }
      y.push_back(sum);
    }
  }
  return y;
}

void check_feedback(uint32_t in, uint32_t hidden, uint32_t delay) {
  const Network network = random_network(in, hidden, delay);
  const uint32_t frames = 41, batch = 5;
  const std::vector<float> x = random_floats(size_t{batch} * frames * in, 2.0f, 11);
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file_of(network), isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    for (const uint32_t block : {1u, 6u, 64u}) {
      const std::vector<float> all = run_all(model, batch, block, frames, x);
      for (uint32_t row = 0; row < batch; ++row) {
        const float* signal = x.data() + size_t{row} * frames * in;
        const std::vector<float> alone = step_all(model, frames, signal);
        CHECK(same_bits(all.data() + size_t{row} * frames * 3, alone.data(), alone.size()));
        const std::vector<double> expected = expected_of(network, signal, frames);
        double most = 0;
        for (size_t i = 0; i < expected.size(); ++i) most = std::max(most, fabs(alone[i] - expected[i]));
        CHECK_SAYING(most < kMostDifference, "delay of %u, %s: %g", delay, grucore::isa_name(isa), most);
      }
    }
  }
}

// Steps of a stream whose blocks are long, rows that sit out, frames that are held, states that are set.
void check_rows() {
  const Network network = random_network(4, 9, 2);
  const LoadedModel model(file_of(network), grucore::best_isa());
  if (!CHECK(model.status() == Status::kOk)) return;
  const uint32_t frames = 12, batch = 3, rows[] = {0, 2};
  const std::vector<float> x = random_floats(size_t{frames} * batch * 4, 2.0f, 3);
  OwnedStream stream(model, batch, 8, grucore::Nonfinite::kHold), twin(model, 2, 1);
  std::vector<float> y(batch * 3), other(2 * 3);
  const float bad = std::numeric_limits<float>::quiet_NaN();
  for (uint32_t t = 0; t < frames; ++t) {
    std::vector<float> frame(x.begin() + t * batch * 4, x.begin() + (t + 1) * batch * 4), two(frame);
    memcpy(two.data() + 4, frame.data() + 8, 4 * sizeof(float));
    const void* input = frame.data();
    void* output = y.data();
    if (t % 3 == 1) {  // held for all, so nothing happens
      std::fill(frame.begin(), frame.end(), bad);
      grucore::step(stream.get(), &input, &output);
      continue;
    }
    grucore::step_rows(stream.get(), &input, &output, rows, 2);
    const void* few = two.data();
    void* results = other.data();
    grucore::step(twin.get(), &few, &results);
    CHECK(same_bits(y.data(), other.data(), 3) && same_bits(y.data() + 6, other.data() + 3, 3));
  }
  std::vector<float> state(2 * 9), start(2 * 9), read(2 * 9);
  const uint32_t index = 1;  // the gru's comes first
  grucore::get_state(stream.get(), index, 1, start.data());
  CHECK(same_bits(start.data(), network.net.initial.data(), start.size()));
  grucore::get_state(stream.get(), index, 2, state.data());
  grucore::set_state(stream.get(), index, 1, state.data());
  grucore::get_state(stream.get(), index, 1, read.data());
  CHECK(same_bits(read.data(), state.data(), state.size()));
  grucore::reset(stream.get());
  grucore::get_state(stream.get(), index, 2, read.data());
  CHECK(same_bits(read.data(), network.net.initial.data(), read.size()));
}

// The place of the largest feature now and two frames ago; a NaN is the largest.
void check_ids() {
  FileBuilder file;
  const uint32_t x = file.value("x", 4), now = file.int_value("now", 2), past = file.int_value("past", 2);
  file.input(x);
  file.output(now);
  file.output(past);
  file.node(26, "largest", {x}, now, {2}, 0);
  file.node(19, "delay", {now}, past, {2}, 0);
  const LoadedModel model(file.finish(), grucore::best_isa());
  if (!CHECK(model.status() == Status::kOk)) return;
  OwnedStream stream(model, 1, 1);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float frames[4][4] = {{1, 2, 3, 3}, {5, -1, -2, -1}, {0, 0, nan, 9}, {1, 1, 2, nan}};
  const int32_t expected[4][2] = {{1, 0}, {0, 1}, {0, 0}, {0, 1}};
  for (uint32_t t = 0; t < 4; ++t) {
    int32_t found[2], before[2];
    const void* input = frames[t];
    void* outputs[] = {found, before};
    grucore::step(stream.get(), &input, outputs);
    for (uint32_t i = 0; i < 2; ++i) {
      CHECK(found[i] == expected[t][i]);
      CHECK(before[i] == (t < 2 ? 0 : expected[t - 2][i]));
    }
  }
}

struct Hostile {
  Status status;
  const char* what;
  uint32_t frames;       // of the delay
  uint32_t width;        // of its output
  uint32_t rows;         // of its initial state
  uint32_t between;      // a layer kind in the loop: 6 activation, 14 flip
  uint32_t source_kind;  // that of the node which the delay feeds: 19, or one that cannot read later values
};

void check_hostile() {
  const Hostile files[] = {
      {Status::kOk, "a loop", 2, 4, 2, 6, 19},
      {Status::kBadAttribute, "no frames", 0, 4, 0, 6, 19},
      {Status::kBadAttribute, "too many frames", 65537, 4, 2, 6, 19},
      {Status::kBadShape, "another width", 2, 5, 2, 6, 19},
      {Status::kBadShape, "a short start", 2, 4, 1, 6, 19},
      {Status::kBadOrder, "a flip in a loop", 2, 4, 2, 14, 19},
      {Status::kBadOrder, "a cycle without a delay", 2, 4, 2, 6, 6},
  };
  for (const Hostile& h : files) {
    FileBuilder file;
    const uint32_t x = file.value("x", 4), past = file.value("past", h.width), sum = file.value("sum", 4),
                   y = file.value("y", 4);
    file.input(x);
    file.output(y);
    Feedback net = {4, h.width, h.rows, {}, {}, std::vector<float>(size_t{h.rows} * h.width, 0.5f)};
    if (h.source_kind == 19) {
      Bytes bytes(net.initial.size() * 4);
      if (!bytes.empty()) memcpy(bytes.data(), net.initial.data(), bytes.size());
      if (h.rows) file.any_tensor({6, 0, 1, {h.rows, h.width, 0}, {0, 0, 0, 0}, bytes});
      file.node(19, "delay", {y}, past, {h.frames}, h.rows ? 1 : 0);
    } else {
      file.node(6, "delay", {y}, past, {2, 0, 0}, 0);
    }
    file.node(10, "sum", {x, past}, sum, {0}, 0);
    file.node(h.between, "between", {sum}, y, h.between == 6 ? std::vector<uint32_t>{2, 0, 0} : std::vector<uint32_t>{},
              0);
    const LoadedModel model(file.finish(), grucore::best_isa());
    CHECK_SAYING(model.status() == h.status, "%s: %s", h.what, grucore::status_name(model.status()));
  }
}

}  // namespace

int main() {
  for (const uint32_t delay : {1u, 2u, 5u}) {
    check_feedback(3, 5, delay);
    check_feedback(16, 18, delay);
  }
  check_rows();
  check_ids();
  check_hostile();
  return finish("delay_test");
}
