// Quantized weights: integer products to the bit against the textbook, the same bits on every table and from every
// way of running, GRUs near the textbook in double.
// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "harness.h"
#include "textbook_quantized.h"

using namespace grucore_test;
using textbook::Kind;
using textbook::Matrix;

namespace {

using Weights = textbook::WeightKind;
constexpr Weights kIntegers[] = {
    {Kind::kInt8, 8, "int8/8"}, {Kind::kInt8, 16, "int8/16"}, {Kind::kInt4, 8, "int4/8"}, {Kind::kInt4, 16, "int4/16"}};
constexpr Weights kAll[] = {{Kind::kInt8, 8, "int8/8"},
                            {Kind::kInt8, 16, "int8/16"},
                            {Kind::kInt4, 8, "int4/8"},
                            {Kind::kInt4, 16, "int4/16"},
                            {Kind::kFloat16, 0, "float16"}};

// Speech-like sizes, and rows that are zero, tiny, huge, or not finite.
std::vector<float> hard_rows(size_t rows, size_t width, std::mt19937* random) {
  std::normal_distribution<float> normal;
  std::vector<float> x(rows * width);
  for (size_t row = 0; row < rows; ++row) {
    const float factor[] = {1.0f, 1.0f, 100.0f, 1e-3f, 0.0f, 1e-36f, 1e37f, 1.0f};
    for (size_t i = 0; i < width; ++i) x[row * width + i] = normal(*random) * factor[row % 8];
    if (row % 8 == 7) x[row * width + row % width] = row % 16 == 7 ? NAN : -INFINITY;
  }
  return x;
}

// The kernels at their borders.
float flushed(float x) { return fabsf(x) < 0x1p-126f ? 0.0f : x; }

bool same_all(const std::vector<float>& a, const std::vector<float>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (!same_float(a[i], b[i])) return false;
  }
  return a.size() == b.size();
}

Bytes dense_file(const Matrix& m, const textbook::Floats& bias, float range) {
  FileBuilder file;
  const uint32_t x = file.value("x", m.inputs), y = file.value("y", m.rows);
  file.input(x);
  file.output(y);
  file.tensor(4, 1, m.rows, 0, bias.data());
  textbook::put_weights(&file, 5, m);
  uint32_t tensors = 2 + textbook::put_scale(&file, 15, m);
  if (range > 0) {
    file.vector_tensor(17, {range});
    ++tensors;
  }
  file.node(2, "dense", {x}, y, {0, 0, 0}, tensors);
  return file.finish();
}

void check_dense(const Weights& weights, uint32_t inputs, uint32_t rows, float range, std::mt19937* random) {
  const uint32_t frames = 19;
  const Matrix m = textbook::random_matrix(weights.kind, weights.bits, 1, rows, inputs, random);
  std::normal_distribution<float> normal;
  textbook::Floats bias(rows);
  for (float& value : bias) value = normal(*random);
  const std::vector<float> x = hard_rows(frames, inputs, random);
  std::vector<float> expected(size_t{frames} * rows);
  for (uint32_t t = 0; t < frames; ++t) {
    std::vector<float> inside(x.begin() + static_cast<ptrdiff_t>(t * inputs),
                              x.begin() + static_cast<ptrdiff_t>((t + 1) * inputs));
    for (float& value : inside) value = flushed(value);
    for (uint32_t row = 0; row < rows; ++row) {
      expected[t * rows + row] = flushed(textbook::add_product(m, row, inside.data(), range, 0, bias[row]));
    }
  }
  const Bytes file = dense_file(m, bias, range);
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file, isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    CHECK(grucore::model_numerics(model.get()) == grucore::Numerics::kExact);
    const char* name = grucore::isa_name(isa);
    CHECK_SAYING(same_all(step_all(model, frames, x.data()), expected), "%s %s %ux%u step", name, weights.name, rows,
                 inputs);
    CHECK_SAYING(same_all(run_all(model, 1, frames, frames, x), expected), "%s %s %ux%u run", name, weights.name, rows,
                 inputs);
    CHECK_SAYING(same_all(run_all(model, frames, 1, 1, x), expected), "%s %s %ux%u batch", name, weights.name, rows,
                 inputs);
  }
}

void check_conv(const Weights& weights, uint32_t channels, uint32_t rows, uint32_t taps, uint32_t groups,
                std::mt19937* random) {
  const uint32_t frames = 9;
  Matrix m =
      textbook::random_matrix(weights.kind, weights.bits, 1, rows / groups, channels / groups, random, taps, groups);
  m.has_segments = true;
  const textbook::Floats bias(rows, 0.25f);
  FileBuilder file;
  const uint32_t x = file.value("x", channels), y = file.value("y", rows);
  file.input(x);
  file.output(y);
  file.grouped_tensor(4, groups, rows / groups, 0, bias.data());
  textbook::put_weights(&file, 5, m);
  const uint32_t tensors = 2 + textbook::put_scale(&file, 15, m);
  file.node(15, "conv", {x}, y, {taps, 1, 1, groups, taps - 1, 0, 0, 0, 0}, tensors);
  std::normal_distribution<float> normal;
  std::vector<float> signal(size_t{frames} * channels);
  for (float& value : signal) value = normal(*random);
  std::vector<float> expected(size_t{frames} * rows);
  for (uint32_t t = 0; t < frames; ++t) {
    for (uint32_t row = 0; row < rows; ++row) {
      std::vector<float> window;
      for (uint32_t tap = 0; tap < taps; ++tap) {
        for (uint32_t c = 0; c < m.inputs; ++c) {
          const uint32_t channel = row / m.rows * m.inputs + c;
          window.push_back(t + tap + 1 < taps ? 0.0f : signal[(t + tap + 1 - taps) * channels + channel]);
        }
      }
      expected[t * rows + row] = textbook::add_product(m, row, window.data(), 0, 0, bias[row]);
    }
  }
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file.finish(), isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    CHECK_SAYING(same_all(step_all(model, frames, signal.data()), expected), "%s %s conv %u->%u taps %u groups %u step",
                 grucore::isa_name(isa), weights.name, channels, rows, taps, groups);
    for (const uint32_t block : {4u, frames}) {
      CHECK_SAYING(same_all(run_all(model, 1, block, frames, signal), expected),
                   "%s %s conv %u->%u taps %u groups %u run", grucore::isa_name(isa), weights.name, channels, rows,
                   taps, groups);
    }
  }
}

void check_gru(const Weights& in, const Weights& recurrent, uint32_t inputs, uint32_t hidden, bool reset_before,
               std::mt19937* random) {
  const uint32_t frames = 20, batch = 11;
  const textbook::QuantizedGru gru =
      textbook::random_quantized_gru(in, recurrent, inputs, hidden, reset_before, random);
  std::normal_distribution<float> normal;
  std::vector<float> x(size_t{batch} * frames * inputs);
  for (float& value : x) value = normal(*random);
  FileBuilder builder;
  const uint32_t from = builder.value("x", inputs), to = builder.value("y", hidden);
  builder.input(from);
  builder.output(to);
  gru.put(&builder, "gru", from, to);
  const Bytes file = builder.finish();
  const size_t row_in = size_t{frames} * inputs, row_out = size_t{frames} * hidden;
  textbook::Doubles h(hidden, 0.0);
  const textbook::Doubles expected =
      textbook::run(gru.floats(), textbook::Doubles(x.begin(), x.begin() + static_cast<ptrdiff_t>(row_in)), frames, &h);
  // Activations of 8 bits err by up to 1/254 each; of 16 by 128 times less; halves not at all.
  const bool has_short = in.bits == 8 || recurrent.bits == 8, has_float = !in.bits && !recurrent.bits;
  const double bound = has_float ? 1e-5 : has_short ? 0.2 : 2e-3;
  std::map<grucore::Numerics, std::vector<float>> of_class;
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file, isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    const char* name = grucore::isa_name(isa);
    const std::vector<float> stepped = step_all(model, frames, x.data());
    double most = 0;
    for (size_t i = 0; i < row_out; ++i) most = std::max(most, fabs(stepped[i] - expected[i]));
    CHECK_SAYING(most < bound, "%s %s %s I=%u H=%u before=%d: %g", name, in.name, recurrent.name, inputs, hidden,
                 reset_before, most);
    for (const uint32_t block : {1u, 7u}) {
      const std::vector<float> all = run_all(model, batch, block, frames, x);
      CHECK_SAYING(same_bits(all.data(), stepped.data(), row_out), "%s %s %s I=%u H=%u block %u", name, in.name,
                   recurrent.name, inputs, hidden, block);
      const std::vector<float> last = step_all(model, frames, x.data() + 10 * row_in);
      CHECK_SAYING(same_bits(all.data() + 10 * row_out, last.data(), row_out), "%s %s %s I=%u H=%u block %u last row",
                   name, in.name, recurrent.name, inputs, hidden, block);
    }
    std::vector<float>& first = of_class[grucore::model_numerics(model.get())];
    if (first.empty()) first = stepped;
    CHECK_SAYING(same_bits(first.data(), stepped.data(), row_out), "%s %s %s I=%u H=%u before=%d differs in its class",
                 name, in.name, recurrent.name, inputs, hidden, reset_before);
  }
  if (in.bits && recurrent.bits) CHECK(of_class.size() == 1);
}

// Every finite half, as a weight of an input that is 1.
void check_halves() {
  Matrix m;
  m.kind = Kind::kFloat16;
  for (int half = 0; half < 65536; ++half) {
    if ((half & 0x7c00) != 0x7c00) m.values.push_back(half);
  }
  m.rows = static_cast<uint32_t>(m.values.size());
  const Bytes file = dense_file(m, textbook::Floats(m.rows, 0.0f), 0);
  const float one = 1.0f;
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file, isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    const std::vector<float> y = step_all(model, 1, &one);
    for (uint32_t i = 0; i < m.rows; ++i) CHECK(y[i] == m.value(i, 0));
  }
}

// A frame that is not finite makes its own row NaN, and reset() heals it.
void check_nonfinite() {
  std::mt19937 random(5);
  const Matrix m = textbook::random_matrix(Kind::kInt8, 16, 1, 5, 7, &random);
  const Bytes file = dense_file(m, textbook::Floats(5, 1.0f), 0);
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file, isa);
    std::vector<float> x(14, 1.0f);
    x[3] = INFINITY;
    const std::vector<float> y = run_all(model, 2, 1, 1, x);
    for (size_t i = 0; i < 5; ++i) CHECK(isnan(y[i]) && isfinite(y[5 + i]));
  }
}

}  // namespace

// Arguments name tables that have to be among those tested.
int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    bool found = false;
    for (const Isa isa : supported_isas()) found |= strcmp(grucore::isa_name(isa), argv[i]) == 0;
    CHECK_SAYING(found, "no table %s here", argv[i]);
  }
  std::mt19937 random(1);
  const uint32_t sizes[][2] = {{1, 1},   {3, 5},   {4, 16},   {7, 17},    {24, 24},  {31, 28},  {33, 4},
                               {40, 64}, {64, 80}, {130, 47}, {300, 150}, {1025, 9}, {2100, 20}};
  for (const auto& size : sizes) {
    for (const Weights& weights : kIntegers) {
      check_dense(weights, size[0], size[1], 0, &random);
      check_dense(weights, size[0], size[1], 0.5f, &random);
    }
  }
  for (const Weights& weights : kIntegers) {
    check_conv(weights, 5, 7, 3, 1, &random);
    check_conv(weights, 40, 20, 2, 1, &random);
    check_conv(weights, 12, 18, 3, 2, &random);
    check_conv(weights, 6, 6, 1, 1, &random);
    check_conv(weights, 150, 134, 3, 1, &random);  // as many products as tile registers are worth
  }
  const uint32_t gru_sizes[][2] = {{1, 16}, {3, 5}, {24, 24}, {40, 64}, {7, 17}, {13, 47}, {33, 80}};
  for (const auto& size : gru_sizes) {
    for (const bool reset_before : {false, true}) {
      for (const Weights& weights : kAll) check_gru(weights, weights, size[0], size[1], reset_before, &random);
      check_gru({Kind::kFloat16, 0, "float16"}, {Kind::kInt8, 16, "int8/16"}, size[0], size[1], reset_before, &random);
      check_gru({Kind::kInt8, 8, "int8/8"}, {Kind::kFloat32, 0, "float32"}, size[0], size[1], reset_before, &random);
      check_gru({Kind::kInt4, 8, "int4/8"}, {Kind::kInt8, 16, "int8/16"}, size[0], size[1], reset_before, &random);
    }
  }
  check_nonfinite();
  check_halves();
  return finish("quantized_test");
}
