// Windows, spectra and filterbanks against their definitions in double, samples of spectra against what they were made
// of; the same bits from step and run, on every table. SPDX-License-Identifier: Apache-2.0
#include "sound_file.h"

#include <complex>

#include "harness.h"

using namespace grucore_test;

namespace {

using Doubles = std::vector<double>;

// The output of the last of some hops of samples, by the definition of each layer.
Doubles expected(const SoundShape& shape, const Doubles& samples) {
  constexpr double kTurn = 6.283185307179586476925287;
  const auto sample = [&](ptrdiff_t i) { return i < 0 ? 0.0 : samples[static_cast<size_t>(i)]; };
  const ptrdiff_t start = static_cast<ptrdiff_t>(samples.size()) - shape.delay - shape.samples;
  Doubles power, parts;
  for (uint32_t k = 0; k <= shape.length / 2; ++k) {
    std::complex<double> sum = 0;
    for (uint32_t n = 0; n < shape.samples; ++n) {
      const ptrdiff_t i = start + n;
      const double windowed = (sample(i) - double{shape.emphasis} * sample(i - 1)) * shape.weight(n);
      sum += windowed * std::polar(1.0, -kTurn * (uint64_t{n} * k % shape.length) / shape.length);
    }
    power.push_back(shape.spectrum == 1 ? std::abs(sum) : std::norm(sum));
    if (shape.spectrum == 2) power.back() = sum.real(), parts.push_back(sum.imag());
  }
  power.insert(power.end(), parts.begin(), parts.end());
  if (shape.bands == 0) return power;
  Doubles bands;
  for (uint32_t band = 0; band < shape.bands; ++band) {
    double sum = 0;
    for (uint32_t k = 0; k < shape.count(band); ++k) {
      sum += power[shape.first(band) + k] * (1.0f / static_cast<float>(1 + k + band));
    }
    bands.push_back(10 * std::log10(sum < 1e-6 ? 1e-6 : sum));
  }
  return bands;
}

void check_shape(const SoundShape& shape) {
  constexpr uint32_t kFrames = 9, kBatch = 2;
  std::mt19937 random(shape.length + shape.hop);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> x(size_t{kBatch} * kFrames * shape.hop);
  for (float& sample : x) sample = uniform(random);
  const size_t features = shape.bands ? shape.bands : shape.bins();
  std::vector<float> first;
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(sound_file(shape), isa);
    if (!CHECK_SAYING(model.status() == Status::kOk, "length %u: %s", shape.length,
                      grucore::status_name(model.status()))) {
      return;
    }
    const std::vector<float> y = run_all(model, kBatch, 4, kFrames, x);
    if (first.empty()) first = y;
    CHECK_SAYING(same_bits(first.data(), y.data(), y.size()), "length %u %s", shape.length, grucore::isa_name(isa));
    CHECK(same_bits(run_all(model, kBatch, 1, kFrames, x).data(), y.data(), y.size()));
    CHECK(same_bits(step_all(model, kFrames, x.data()).data(), y.data(), kFrames * features));
  }
  for (uint32_t row = 0; row < kBatch; ++row) {
    for (uint32_t frame = 0; frame < kFrames; ++frame) {
      const float* signal = x.data() + size_t{row} * kFrames * shape.hop;
      const Doubles want = expected(shape, Doubles(signal, signal + size_t{frame + 1} * shape.hop));
      double scale = 1e-6;
      for (const double number : want) scale = std::fmax(scale, std::fabs(number));
      for (size_t f = 0; f < features; ++f) {
        const double got = first[(size_t{row} * kFrames + frame) * features + f];
        const double most = (shape.bands ? 1e-5 : 1e-6) * scale;
        CHECK_SAYING(std::fabs(got - want[f]) <= most,
                     "length %u spectrum %u frame %u feature %zu: %.9g, expected %.9g", shape.length, shape.spectrum,
                     frame, f, got, want[f]);
      }
    }
  }
}

// A model that gives its input back, half a window later.
void check_samples(uint32_t length) {
  constexpr uint32_t kFrames = 9, kBatch = 2;
  const uint32_t hop = length / 2;
  std::mt19937 random(length);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> x(size_t{kBatch} * kFrames * hop), first;
  for (float& sample : x) sample = uniform(random);
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(samples_file(hop, length), isa);
    if (!CHECK(model.status() == Status::kOk)) return;
    const std::vector<float> y = run_all(model, kBatch, 4, kFrames, x);
    if (first.empty()) first = y;
    CHECK_SAYING(same_bits(first.data(), y.data(), y.size()), "length %u %s", length, grucore::isa_name(isa));
    CHECK(same_bits(run_all(model, kBatch, 1, kFrames, x).data(), y.data(), y.size()));
    CHECK(same_bits(step_all(model, kFrames, x.data()).data(), y.data(), kFrames * hop));
  }
  for (uint32_t row = 0; row < kBatch; ++row) {
    const float* heard = x.data() + size_t{row} * kFrames * hop;
    const float* given = first.data() + size_t{row} * kFrames * hop;
    for (uint32_t i = 0; i < (kFrames - 1) * hop; ++i) {
      CHECK_SAYING(std::fabs(given[hop + i] - heard[i]) < 1e-6f, "length %u sample %u: %.9g, expected %.9g", length, i,
                   double{given[hop + i]}, double{heard[i]});
    }
  }
}

}  // namespace

int main() {
  for (const uint32_t length : {2u, 4u, 6u, 10u, 16u, 18u, 30u, 32u, 50u, 64u, 96u, 128u, 200u, 320u, 480u, 512u}) {
    check_samples(length);
  }
  for (const uint32_t length : {2u,  3u,  4u,  5u,  6u,  9u,   10u,  15u,  16u,  18u,  24u,  25u,  30u, 32u,
                                40u, 60u, 64u, 75u, 96u, 100u, 128u, 200u, 256u, 320u, 400u, 405u, 512u}) {
    for (uint32_t spectrum = 0; spectrum < 3; ++spectrum) {
      const uint32_t samples = length % 3 ? length : length - length / 3;
      check_shape({length / 3 + 1, samples, length, 0, 0.0f, spectrum, 0});
    }
  }
  check_shape({80, 200, 512, 0, 0.0f, 0, 40});
  check_shape({80, 200, 256, 40, 0.97f, 0, 20});
  check_shape({160, 400, 512, 80, 0.0f, 0, 80});
  check_shape({100, 30, 32, 0, 0.5f, 1, 7});  // hops longer than windows
  check_shape({3, 30, 32, 11, 1.0f, 0, 7});
  return finish("sound_test");
}
