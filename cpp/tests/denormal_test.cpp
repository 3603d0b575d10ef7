// Denormals count as zero and are never written; the caller's floating-point mode changes nothing and is
// given back.
// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include "harness.h"
#include "isa/float_mode.h"
#include "portable.h"

using namespace grucore_test;

namespace {

constexpr uint32_t kIn = 6, kHidden = 21, kOut = 5;

bool is_denormal(float value) {
  const uint32_t magnitude = float_bits(value) & 0x7fffffffu;
  return magnitude > 0 && magnitude < 0x00800000u;
}

bool any_denormal(const std::vector<float>& values) {
  for (const float value : values) {
    if (is_denormal(value)) return true;
  }
  return false;
}

// gru -> dense; `scale` is of the dense weights.
Bytes file_of(const textbook::Gru& gru, float scale, uint32_t activation, PortableRandom* random) {
  FileBuilder file;
  const uint32_t x = file.value("x", kIn), h = file.value("h", kHidden), y = file.value("y", kOut);
  file.input(x);
  file.output(y);
  file.gru("gru.l0", gru, x, h);
  textbook::Floats weight = portable_floats(kOut * kHidden, scale, random);
  for (float& w : weight) w = is_denormal(w) ? 0.0f : w;  // a file holds none
  file.dense("linear", weight, textbook::Floats(kOut, 0.0f), activation, h, y);
  return file.finish();
}

// A silent network whose state shrinks by z = 0.95 a frame, and would end as a denormal that never dies.
textbook::Gru fading_gru(bool reset_before) {
  textbook::Gru gru;
  gru.input_size = kIn;
  gru.hidden_size = kHidden;
  gru.reset_before = reset_before;
  gru.weight_ih.assign(3 * kHidden * kIn, 0.125f);
  gru.weight_hh.assign(3 * kHidden * kHidden, 0.0f);
  gru.bias.assign((reset_before ? 3 : 4) * kHidden, 0.0f);
  for (uint32_t i = 0; i < kHidden; ++i) gru.bias[kHidden + i] = 3.0f;
  return gru;
}

void step_once(grucore::Stream* stream, const std::vector<float>& x, std::vector<float>* y) {
  const void* input = x.data();
  void* output = y->data();
  CHECK(grucore::step(stream, &input, &output) == 1);
}

void check_fading(Isa isa, bool reset_before) {
  PortableRandom random(3);
  const LoadedModel model(file_of(fading_gru(reset_before), 0.5f, 0, &random), isa);
  const OwnedStream stream(model, 1, 1);
  std::vector<float> x(kIn, 0.0f), y(kOut), h(kHidden, 1.0f);
  grucore::set_state(stream.get(), 0, 0, h.data());
  bool seen = false, done = false;
  for (int frame = 0; frame < 3000; ++frame) {
    step_once(stream.get(), x, &y);
    grucore::get_state(stream.get(), 0, 0, h.data());
    seen |= any_denormal(y) || any_denormal(h);
    done = h[0] == 0.0f;
  }
  CHECK_SAYING(!seen, "%s reset_before=%d wrote a denormal", grucore::isa_name(isa), reset_before);
  CHECK_SAYING(done, "%s reset_before=%d: the state is %g after 3000 silent frames", grucore::isa_name(isa),
               reset_before, static_cast<double>(h[0]));
}

// Inputs and states below 2^-126 act as zeros of the same frame do.
void check_as_zero(Isa isa, bool reset_before) {
  PortableRandom random(4);
  const Bytes file = file_of(portable_gru(kIn, kHidden, reset_before, false, &random), 0.5f, 2, &random);
  const LoadedModel model(file, isa);
  const OwnedStream tiny(model, 1, 1), zero(model, 1, 1);
  std::vector<float> h(kHidden, 5e-40f), x(kIn), x_zero(kIn), y(kOut), y_zero(kOut);
  grucore::set_state(tiny.get(), 0, 0, h.data());
  grucore::get_state(tiny.get(), 0, 0, h.data());
  for (const float value : h) CHECK(value == 0.0f);
  for (int frame = 0; frame < 20; ++frame) {
    for (uint32_t i = 0; i < kIn; ++i) {
      const bool is_tiny = random.next() % 2 == 0;
      x_zero[i] = is_tiny ? 0.0f : random.uniform(2.0f);
      x[i] = is_tiny ? random.uniform(1e-38f) : x_zero[i];
    }
    step_once(tiny.get(), x, &y);
    step_once(zero.get(), x_zero, &y_zero);
    CHECK(same_bits(y.data(), y_zero.data(), kOut));
  }
}

// Products of weights that are normal, with a result that is not.
void check_written(Isa isa) {
  for (const uint32_t activation : {0u, 2u, 3u}) {
    PortableRandom random(5);
    const Bytes file = file_of(portable_gru(kIn, kHidden, false, false, &random), 0x1p-124f, activation, &random);
    const LoadedModel model(file, isa);
    const textbook::Floats x = portable_signal(40 * kIn, &random);
    const std::vector<float> stepped = step_all(model, 40, x.data()), ran = run_all(model, 1, 16, 40, x);
    CHECK_SAYING(!any_denormal(stepped), "%s activation %u wrote a denormal", grucore::isa_name(isa), activation);
    CHECK(same_bits(stepped.data(), ran.data(), ran.size()));
  }
}

// Modes a caller may have set: flush to zero, and each rounding.
std::vector<uint32_t> foreign_modes() {
#if defined(GRUCORE_FLOAT_MODE_SSE)
  return {0x9fc0, 0x1fc0, 0x3f80, 0x5f80, 0x7f80, 0xffc0};  // FTZ and DAZ; DAZ; down; up; towards zero; all
#elif defined(__aarch64__)
  return {1u << 24, 1u << 22, 2u << 22, 3u << 22, 1u << 25, 0x03c00000};  // FZ; up; down; zero; DN; all
#else
  return {};
#endif
}

void check_modes(Isa isa, bool reset_before) {
  PortableRandom random(6);
  const Bytes file = file_of(portable_gru(kIn, kHidden, reset_before, false, &random), 0.5f, 1, &random);
  const LoadedModel model(file, isa);
  const uint32_t frames = 30;
  const textbook::Floats x = portable_signal(frames * kIn, &random);
  const std::vector<float> expected = step_all(model, frames, x.data());
  const OwnedStream stepping(model, 1, 1), running(model, 1, 8);
  std::vector<float> y(kOut), all(frames * kOut), h(kHidden, 3e-39f), back(kHidden);
  const grucore::ConstSignal input = {x.data(), 0, kIn};
  const grucore::Signal output = {all.data(), 0, kOut};
  for (const uint32_t mode : foreign_modes()) {
    const uint32_t own = grucore::detail::read_float_mode();
    grucore::reset(stepping.get());
    grucore::reset(running.get());
    bool same = true;
    grucore::detail::write_float_mode(mode);
    const uint32_t set = grucore::detail::read_float_mode() & grucore::detail::kFloatModeMask;
    for (uint32_t t = 0; t < frames; ++t) {
      const void* in = x.data() + t * kIn;
      void* out = y.data();
      (void)grucore::step(stepping.get(), &in, &out);
      same &= memcmp(y.data(), expected.data() + t * kOut, kOut * sizeof(float)) == 0;
    }
    const uint32_t after_step = grucore::detail::read_float_mode() & grucore::detail::kFloatModeMask;
    grucore::run(running.get(), frames, &input, &output, nullptr);
    const uint32_t after_run = grucore::detail::read_float_mode() & grucore::detail::kFloatModeMask;
    grucore::set_state(stepping.get(), 0, 0, h.data());
    grucore::get_state(stepping.get(), 0, 0, back.data());
    grucore::detail::write_float_mode(own);
    CHECK_SAYING(same, "%s step under mode %x", grucore::isa_name(isa), mode);
    CHECK_SAYING(same_bits(all.data(), expected.data(), all.size()), "%s run under mode %x", grucore::isa_name(isa),
                 mode);
    CHECK_EQ(after_step, set);
    CHECK_EQ(after_run, set);
    CHECK(!any_denormal(back));
  }
}

// Nanoseconds of a step, the best of several rounds.
double step_time(grucore::Stream* stream, const std::vector<float>& x, std::vector<float>* y) {
  double best = 1e9;
  for (int round = 0; round < 20; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 200; ++i) step_once(stream, x, y);
    best = std::min(best,
                    std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() / 200);
  }
  return best;
}

void show_cost(Isa isa) {
  PortableRandom random(7);
  const LoadedModel model(file_of(fading_gru(false), 0.5f, 0, &random), isa);
  const OwnedStream loud(model, 1, 1), silent(model, 1, 1);
  std::vector<float> y(kOut), h(kHidden, 1e-39f);
  grucore::set_state(silent.get(), 0, 0, h.data());
  const double normal = step_time(loud.get(), std::vector<float>(kIn, 0.5f), &y);
  const double denormal = step_time(silent.get(), std::vector<float>(kIn, 1e-39f), &y);
  printf("%-14s %7.0f ns normal, %7.0f ns denormal\n", grucore::isa_name(isa), normal, denormal);
}

}  // namespace

int main() {
  for (const Isa isa : supported_isas()) {
    for (const bool reset_before : {false, true}) {
      check_fading(isa, reset_before);
      check_as_zero(isa, reset_before);
      check_modes(isa, reset_before);
    }
    check_written(isa);
    show_cost(isa);
  }
  return finish("denormal_test");
}
