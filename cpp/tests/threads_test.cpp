// Eight threads share one model, each with its own stream: every one gets the bits of running alone.
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <thread>

#include "harness.h"
#include "portable.h"

using namespace grucore_test;

namespace {

constexpr uint32_t kThreads = 8, kFrames = 60, kIn = 9, kHidden = 33, kRounds = 20;

Bytes file_of(PortableRandom* random) {
  FileBuilder file;
  const uint32_t x = file.value("x", kIn), a = file.value("a", kHidden), y = file.value("y", kHidden);
  file.input(x);
  file.output(y);
  file.gru("gru.l0", portable_gru(kIn, kHidden, false, false, random), x, a);
  file.gru("gru.l1", portable_gru(kHidden, kHidden, true, false, random), a, y);
  return file.finish();
}

// Everything that a thread may do with a shared model and a shared file. CHECK counts are not for threads.
bool work(const Bytes& file, const LoadedModel& model, const float* x, const std::vector<float>& expected) {
  bool good = true;
  for (uint32_t round = 0; round < kRounds; ++round) {
    grucore::MemoryPlan plan;
    const grucore::StreamOptions options = {1, 7, grucore::Nonfinite::kPropagate};
    good &= grucore::plan_stream(model.get(), options, &plan) == Status::kOk;
    const AlignedBytes arena(plan.bytes);
    grucore::Stream* stream = nullptr;
    good &= grucore::init_stream(model.get(), options, arena.data(), plan.bytes, &stream) == Status::kOk;
    std::vector<float> y(expected.size());
    if (round % 2 == 0) {
      for (uint32_t t = 0; t < kFrames; ++t) {
        const void* in = x + t * kIn;
        void* out = y.data() + t * kHidden;
        good &= grucore::step(stream, &in, &out) == 1;
      }
    } else {
      const grucore::ConstSignal in = {x, 0, kIn};
      const grucore::Signal out = {y.data(), 0, kHidden};
      grucore::run(stream, kFrames, &in, &out, nullptr);
    }
    good &= same_bits(y.data(), expected.data(), y.size());
    if (round % 8 == 0) {
      const LoadedModel own(file, grucore::model_isa(model.get()));
      good &= own.status() == Status::kOk && grucore::macs_per_frame(own.get()) == grucore::macs_per_frame(model.get());
    }
  }
  return good;
}

}  // namespace

int main() {
  PortableRandom random(8);
  const Bytes file = file_of(&random);
  const textbook::Floats x = portable_signal(size_t{kThreads} * kFrames * kIn, &random);
  for (const Isa isa : supported_isas()) {
    const LoadedModel model(file, isa);
    if (!CHECK(model.status() == Status::kOk)) continue;
    std::vector<std::vector<float>> expected;
    for (uint32_t i = 0; i < kThreads; ++i)
      expected.push_back(step_all(model, kFrames, x.data() + size_t{i} * kFrames * kIn));
    std::atomic<uint32_t> good{0};
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < kThreads; ++i) {
      threads.emplace_back(
          [&, i] { good += work(file, model, x.data() + size_t{i} * kFrames * kIn, expected[i]) ? 1 : 0; });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_SAYING(good == kThreads, "%s: %u of %u threads agree", grucore::isa_name(isa), good.load(), kThreads);
  }
  return finish("threads_test");
}
