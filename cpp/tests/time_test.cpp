// Layers that reach over time: convolutions, pooling, masks, flips, embeddings; values at fewer frames.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "harness.h"

using namespace grucore_test;

namespace {

constexpr double kMostDifference = 1e-5;

std::vector<float> random_floats(size_t count, float bound, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-bound, bound);
  std::vector<float> x(count);
  for (float& v : x) v = uniform(random);
  return x;
}

struct Conv {
  uint32_t taps, dilation, stride, groups, before, after, in, out;
  std::vector<float> weight, bias;

  uint32_t reach() const { return dilation * (taps - 1); }
  uint32_t skip() const { return reach() - before - after; }
};

Conv random_conv(uint32_t taps, uint32_t dilation, uint32_t stride, uint32_t groups, uint32_t before, uint32_t after,
                 uint32_t in, uint32_t out) {
  Conv conv = {taps, dilation, stride, groups, before, after, in, out, {}, {}};
  conv.weight = random_floats(size_t{out} * taps * (in / groups), 0.4f, taps + in);
  conv.bias = random_floats(out, 0.4f, out);
  return conv;
}

void put_conv(FileBuilder* file, const Conv& conv, uint32_t x, uint32_t y) {
  file->grouped_tensor(4, conv.groups, conv.out / conv.groups, 0, conv.bias.data());
  file->grouped_tensor(5, conv.groups, conv.out / conv.groups, conv.taps * (conv.in / conv.groups), conv.weight.data());
  file->node(15, "conv", {x}, y, {conv.taps, conv.dilation, conv.stride, conv.groups, conv.before, conv.after, 2, 0, 0},
             2);
}

// tanh of the convolution, from its definition over the padded sequence.
textbook::Doubles convolve(const Conv& conv, const float* x, uint32_t frames) {
  textbook::Doubles y;
  const uint32_t padded = conv.before + frames + conv.after, in_group = conv.in / conv.groups,
                 out_group = conv.out / conv.groups;
  for (uint32_t start = 0; start + conv.reach() < padded; start += conv.stride) {
    for (uint32_t o = 0; o < conv.out; ++o) {
      double sum = conv.bias[o];
      for (uint32_t tap = 0; tap < conv.taps; ++tap) {
        const uint32_t at = start + tap * conv.dilation;
        if (at < conv.before || at >= conv.before + frames) continue;
        for (uint32_t c = 0; c < in_group; ++c) {
          const uint32_t channel = o / out_group * in_group + c;
          sum += static_cast<double>(conv.weight[(size_t{o} * conv.taps + tap) * in_group + c]) *
                 x[(at - conv.before) * conv.in + channel];
        }
      }
      y.push_back(tanh(sum));
    }
  }
  return y;
}

uint32_t values_of(const Conv& conv, uint32_t frames) {
  return frames <= conv.skip() ? 0 : (frames - conv.skip() + conv.stride - 1) / conv.stride;
}

void check_conv(const Conv& conv) {
  const uint32_t frames = 29, batch = 3;
  FileBuilder file;
  const uint32_t x = file.value("x", conv.in),
                 y = file.value("y", conv.out, conv.stride > 1 ? 1 : 0, conv.stride, conv.skip());
  file.input(x);
  file.output(y);
  put_conv(&file, conv, x, y);
  const std::vector<float> signal = random_floats(size_t{batch} * frames * conv.in, 2.0f, 5);
  const uint32_t lengths[batch] = {frames, 11, 0};
  const uint32_t values = values_of(conv, frames);
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file.finish(), isa);
    CHECK_SAYING(model.status() == Status::kOk, "%s", grucore::status_name(model.status()));
    if (model.status() != Status::kOk) return;
    CHECK((grucore::first_unstreamable_node(model.get()) == grucore::kNone) == (conv.after == 0));
    std::vector<float> whole;
    for (const uint32_t block : {frames, 4u}) {
      if (block != frames && conv.after) continue;
      OwnedStream stream(model, batch, block);
      CHECK(grucore::output_frames(stream.get(), 0, 0, frames) == values);
      std::vector<float> got(size_t{batch} * values * conv.out, -7.0f);
      const grucore::ConstSignal input = {signal.data(), size_t{frames} * conv.in, conv.in};
      const grucore::Signal output = {got.data(), size_t{values} * conv.out, conv.out};
      grucore::run(stream.get(), frames, &input, &output, lengths);
      for (uint32_t row = 0; row < batch; ++row) {
        const textbook::Doubles expected = convolve(conv, signal.data() + size_t{row} * frames * conv.in, lengths[row]);
        CHECK(lengths[row] == 0 || expected.size() == size_t{values_of(conv, lengths[row])} * conv.out);
        for (size_t i = 0; i < size_t{values} * conv.out; ++i) {
          const double want = lengths[row] > 0 && i < expected.size() ? expected[i] : 0;
          const double found = got[row * size_t{values} * conv.out + i];
          CHECK_SAYING(fabs(found - want) < kMostDifference, "row %u value %zu: %g, expected %g", row, i / conv.out,
                       found, want);
        }
      }
      if (whole.empty()) whole = got;
      CHECK(same_bits(whole.data(), got.data(), got.size()));
    }
    if (conv.after) continue;
    OwnedStream stepper(model, 1, 1);
    std::vector<float> stepped, out(conv.out);
    for (uint32_t t = 0; t < frames; ++t) {
      const void* xs = signal.data() + size_t{t} * conv.in;
      void* ys = out.data();
      const uint64_t mask = grucore::step(stepper.get(), &xs, &ys);
      CHECK(mask == (t >= conv.skip() && (t - conv.skip()) % conv.stride == 0 ? 1u : 0u));
      if (mask) stepped.insert(stepped.end(), out.begin(), out.end());
    }
    CHECK(stepped.size() == size_t{values} * conv.out && same_bits(stepped.data(), whole.data(), stepped.size()));
  }
}

// conv (valid, strided) -> gru -> last: the gru steps only where the convolution has a value.
void check_conv_into_gru() {
  const Conv conv = random_conv(3, 1, 2, 1, 0, 0, 4, 6);
  const uint32_t hidden = 7, frames = 30;
  const textbook::Gru gru = textbook::random_gru(6, hidden, false, false, 8);
  FileBuilder file;
  const uint32_t x = file.value("x", 4), c = file.value("c", 6, 1, 2, 2), h = file.value("h", hidden, 1, 2, 2),
                 y = file.value("y", hidden, 2);
  file.input(x);
  file.output(y);
  file.output(h);
  put_conv(&file, conv, x, c);
  file.gru("gru", gru, c, h);
  file.take("last", h, y);
  const std::vector<float> signal = random_floats(size_t{frames} * 4, 2.0f, 9);
  textbook::Doubles state(hidden, 0.0);
  const textbook::Doubles windows = convolve(conv, signal.data(), frames);
  const textbook::Doubles expected = textbook::run(gru, windows, static_cast<uint32_t>(windows.size() / 6), &state);
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file.finish(), isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    for (const uint32_t block : {1u, 5u, 30u}) {
      OwnedStream stream(model, 1, block);
      std::vector<float> last(hidden), all(expected.size());
      CHECK(grucore::output_frames(stream.get(), 1, 0, frames) * hidden == all.size());
      const grucore::ConstSignal input = {signal.data(), 0, 4};
      const grucore::Signal outputs[2] = {{last.data(), 0, 0}, {all.data(), 0, hidden}};
      grucore::run(stream.get(), frames, &input, outputs, nullptr);
      for (size_t i = 0; i < all.size(); ++i) CHECK(fabs(all[i] - expected[i]) < kMostDifference);
      CHECK(same_bits(last.data(), all.data() + all.size() - hidden, hidden));
    }
  }
}

struct Window {
  uint32_t taps, stride, features;
  bool maximum;

  uint32_t values(uint32_t frames) const { return frames < taps ? 0 : (frames - taps) / stride + 1; }
};

std::vector<double> pooled(const Window& window, const float* x, uint32_t frames) {
  std::vector<double> y;
  for (uint32_t value = 0; value < window.values(frames); ++value) {
    for (uint32_t f = 0; f < window.features; ++f) {
      const float* first = x + size_t{value} * window.stride * window.features + f;
      double sum = 0, most = first[0];
      for (uint32_t tap = 0; tap < window.taps; ++tap) {
        sum += first[size_t{tap} * window.features];
        most = std::max<double>(most, first[size_t{tap} * window.features]);
      }
      y.push_back(window.maximum ? most : sum / window.taps);
    }
  }
  return y;
}

void check_pool1d(const Window& window) {
  const uint32_t frames = 29, batch = 3, lengths[batch] = {frames, 11, 0};
  FileBuilder file;
  const uint32_t x = file.value("x", window.features),
                 y = file.value("y", window.features, window.stride > 1 ? 1 : 0, window.stride, window.taps - 1);
  file.input(x);
  file.output(y);
  file.node(16, "pool1d", {x}, y, {window.maximum ? 1u : 0u, window.taps, window.stride}, 0);
  const std::vector<float> signal = random_floats(size_t{batch} * frames * window.features, 2.0f, window.taps);
  const uint32_t values = window.values(frames);
  std::vector<float> first;
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file.finish(), isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    for (const uint32_t block : {frames, 4u, 1u}) {
      OwnedStream stream(model, batch, block);
      CHECK(grucore::output_frames(stream.get(), 0, 0, frames) == values);
      std::vector<float> got(size_t{batch} * values * window.features, -7.0f);
      const grucore::ConstSignal input = {signal.data(), size_t{frames} * window.features, window.features};
      const grucore::Signal output = {got.data(), size_t{values} * window.features, window.features};
      grucore::run(stream.get(), frames, &input, &output, lengths);
      for (uint32_t row = 0; row < batch; ++row) {
        const std::vector<double> expected =
            pooled(window, signal.data() + size_t{row} * frames * window.features, lengths[row]);
        for (size_t i = 0; i < size_t{values} * window.features; ++i) {
          const double want = i < expected.size() ? expected[i] : 0;
          const double found = got[row * size_t{values} * window.features + i];
          CHECK_SAYING(fabs(found - want) < kMostDifference, "row %u: %g, expected %g", row, found, want);
        }
      }
      if (first.empty()) first = got;
      CHECK(same_bits(first.data(), got.data(), got.size()));
    }
    OwnedStream stepper(model, 1, 1);
    std::vector<float> stepped, out(window.features);
    for (uint32_t t = 0; t < frames; ++t) {
      const void* xs = signal.data() + size_t{t} * window.features;
      void* ys = out.data();
      if (grucore::step(stepper.get(), &xs, &ys)) stepped.insert(stepped.end(), out.begin(), out.end());
    }
    CHECK(stepped.size() == size_t{values} * window.features &&
          same_bits(stepped.data(), first.data(), stepped.size()));
  }
}

// ids -> embedding -> gru with a mask of id 0 -> mean over the unmasked frames.
void check_mask() {
  const uint32_t width = 5, ids = 7, hidden = 6, frames = 8;
  const std::vector<float> table = random_floats(ids * width, 1.0f, 2);
  const textbook::Gru gru = textbook::random_gru(width, hidden, false, false, 3);
  const int32_t words[frames] = {0, 3, 0, 0, 6, 1, 99, 0};
  for (const uint32_t zeros : {0u, 1u}) {
    FileBuilder file;
    const uint32_t x = file.int_value("ids", 1), m = file.int_value("mask", 1), e = file.value("e", width),
                   h = file.value("h", hidden), mean = file.value("mean", hidden, 2);
    file.input(x);
    file.output(h);
    file.output(mean);
    file.node(13, "mask", {x}, m, {0}, 0);
    file.table_tensor(7, ids, width, table);
    file.node(5, "embedding", {x}, e, {}, 1);
    file.tensor(1, 3, hidden, width, gru.weight_ih.data());
    file.tensor(2, 3, hidden, hidden, gru.weight_hh.data());
    file.tensor(4, 4, hidden, 0, gru.bias.data());
    std::vector<uint32_t> attributes = FileBuilder::gru_words(gru);
    attributes[2] = zeros;
    file.node(1, "gru", {e, m}, h, attributes, 3);
    file.node(12, "mean", {h, m}, mean, {0}, 0);
    textbook::Doubles state(hidden, 0.0), total(hidden, 0.0), expected;
    double open = 0;
    for (uint32_t t = 0; t < frames; ++t) {
      if (words[t] != 0) {
        textbook::Doubles row(width, 0.0);  // an id out of range is a row of zeros
        if (words[t] < static_cast<int32_t>(ids)) {
          for (uint32_t i = 0; i < width; ++i) row[i] = table[static_cast<uint32_t>(words[t]) * width + i];
        }
        textbook::step(gru, row.data(), &state);
        for (uint32_t i = 0; i < hidden; ++i) total[i] += state[i];
        open += 1;
      }
      for (uint32_t i = 0; i < hidden; ++i) expected.push_back(words[t] == 0 && zeros ? 0 : state[i]);
    }
    for (const Isa isa : supported_isas()) {
      const LoadedModel model(file.finish(), isa);
      if (!CHECK(model.status() == Status::kOk)) return;
      for (const uint32_t block : {1u, 3u, 8u}) {
        OwnedStream stream(model, 1, block);
        std::vector<float> all(frames * hidden), average(hidden);
        const grucore::ConstSignal input = {words, 0, 1};
        const grucore::Signal outputs[2] = {{all.data(), 0, hidden}, {average.data(), 0, 0}};
        grucore::run(stream.get(), frames, &input, outputs, nullptr);
        for (size_t i = 0; i < all.size(); ++i) CHECK(fabs(all[i] - expected[i]) < kMostDifference);
        for (uint32_t i = 0; i < hidden; ++i) CHECK(fabs(average[i] - total[i] / open) < kMostDifference);
      }
    }
  }
}

// flip, first and maximum, with lengths.
void check_flip() {
  const uint32_t frames = 9, batch = 3, features = 4;
  const uint32_t lengths[batch] = {9, 4, 1};
  FileBuilder file;
  const uint32_t x = file.value("x", features), back = file.value("back", features),
                 first = file.value("first", features, 2), most = file.value("most", features, 2);
  file.input(x);
  for (const uint32_t value : {back, first, most}) file.output(value);
  file.node(14, "flip", {x}, back, {}, 0);
  file.node(3, "first", {back}, first, {1}, 0);
  file.node(12, "most", {x}, most, {1}, 0);
  const std::vector<float> signal = random_floats(size_t{batch} * frames * features, 2.0f, 5);
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file.finish(), isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    OwnedStream stream(model, batch, frames);
    std::vector<float> all(signal.size()), one(batch * features), largest(batch * features);
    const grucore::ConstSignal input = {signal.data(), size_t{frames} * features, features};
    const grucore::Signal outputs[3] = {
        {all.data(), size_t{frames} * features, features}, {one.data(), features, 0}, {largest.data(), features, 0}};
    grucore::run(stream.get(), frames, &input, outputs, lengths);
    for (uint32_t row = 0; row < batch; ++row) {
      const float* in = signal.data() + size_t{row} * frames * features;
      for (uint32_t t = 0; t < frames; ++t) {
        for (uint32_t f = 0; f < features; ++f) {
          const float want = t < lengths[row] ? in[(lengths[row] - 1 - t) * features + f] : 0.0f;
          CHECK(all[(size_t{row} * frames + t) * features + f] == want);
        }
      }
      for (uint32_t f = 0; f < features; ++f) {
        CHECK(one[row * features + f] == in[(lengths[row] - 1) * features + f]);
        float want = in[f];
        for (uint32_t t = 1; t < lengths[row]; ++t) want = std::max(want, in[t * features + f]);
        CHECK(largest[row * features + f] == want);
      }
    }
  }
}

// A copied stream goes on with the bits of the original.
void check_copy() {
  const Conv conv = random_conv(3, 1, 2, 1, 0, 0, 4, 6);
  FileBuilder file;
  const uint32_t x = file.value("x", 4), c = file.value("c", 6, 1, 2, 2), mean = file.value("mean", 6, 2);
  file.input(x);
  file.output(c);
  file.output(mean);
  put_conv(&file, conv, x, c);
  file.node(12, "mean", {c}, mean, {0}, 0);
  const std::vector<float> signal = random_floats(15 * 4, 2.0f, 9);
  const LoadedModel model(file.finish(), grucore::best_isa());
  OwnedStream original(model, 1, 1), copy(model, 1, 4);
  for (uint32_t t = 0; t < 15; ++t) {
    std::vector<float> a(6, -7.0f), b(6, -7.0f), mean_a(6), mean_b(6);
    const void* xs = signal.data() + t * 4;
    void* to_a[2] = {a.data(), mean_a.data()};
    void* to_b[2] = {b.data(), mean_b.data()};
    if (t == 7) grucore::copy_stream(original.get(), copy.get());
    const uint64_t mask = grucore::step(original.get(), &xs, to_a);
    if (t < 7) continue;
    CHECK(grucore::step(copy.get(), &xs, to_b) == mask);
    CHECK(same_bits(a.data(), b.data(), 6) && same_bits(mean_a.data(), mean_b.data(), 6));
  }
}

}  // namespace

int main() {
  check_copy();
  check_conv(random_conv(3, 1, 1, 1, 2, 0, 5, 7));     // causal
  check_conv(random_conv(3, 1, 1, 1, 0, 0, 5, 7));     // valid
  check_conv(random_conv(4, 3, 1, 1, 9, 0, 3, 18));    // dilated
  check_conv(random_conv(3, 2, 1, 1, 1, 0, 3, 4));     // some of the padding
  check_conv(random_conv(3, 1, 1, 1, 1, 1, 5, 7));     // same
  check_conv(random_conv(4, 1, 1, 1, 1, 2, 5, 7));     // same, even
  check_conv(random_conv(3, 1, 2, 1, 2, 0, 5, 7));     // strided
  check_conv(random_conv(5, 1, 3, 1, 0, 0, 5, 7));     // strided, valid
  check_conv(random_conv(3, 1, 2, 1, 1, 1, 5, 7));     // strided, same
  check_conv(random_conv(3, 1, 1, 4, 2, 0, 8, 20));    // grouped
  check_conv(random_conv(3, 1, 1, 16, 2, 0, 16, 16));  // depthwise
  check_conv(random_conv(1, 1, 1, 2, 0, 0, 34, 38));   // a grouped dense layer
  for (const bool maximum : {false, true}) {
    check_pool1d({1, 1, 5, maximum});
    check_pool1d({2, 2, 5, maximum});
    check_pool1d({3, 1, 17, maximum});
    check_pool1d({3, 2, 16, maximum});
    check_pool1d({2, 5, 33, maximum});
  }
  check_conv_into_gru();
  check_mask();
  check_flip();
  return finish("time_test");
}
