// The engine, behind the interface of those beside it.
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include <stdexcept>
#include <string>

#include "grucore/grucore.h"
#include "yardstick.h"

namespace {

class Memory {
 public:
  explicit Memory(size_t bytes) {
    if (posix_memalign(&data_, 64, bytes ? bytes : 1) != 0) throw std::runtime_error("no memory");
  }
  ~Memory() { free(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

void expect(grucore::Status status) {
  if (status != grucore::Status::kOk) throw std::runtime_error(grucore::status_meaning(status));
}

grucore::Isa isa_named(const char* name) {
  if (!*name) return grucore::best_isa();
  for (uint32_t i = 0; i < grucore::kIsaCount; ++i) {
    const auto isa = static_cast<grucore::Isa>(i);
    if (strcmp(grucore::isa_name(isa), name) == 0 && grucore::isa_supported(isa)) return isa;
  }
  throw std::invalid_argument("no instruction set \"" + std::string(name) + "\" here");
}

class Engine final : public yardstick::Contender {
 public:
  explicit Engine(const YardstickNetwork& network) : network_(network), file_(network.file_bytes) {
    memcpy(file_.data(), network.file, network.file_bytes);
    grucore::MemoryPlan plan;
    expect(grucore::plan_model(file_.data(), network.file_bytes, &plan, nullptr));
    arena_ = std::make_unique<Memory>(plan.bytes);
    expect(grucore::load(file_.data(), network.file_bytes, isa_named(network.isa), arena_->data(), plan.bytes, &model_,
                         nullptr));
    const grucore::StreamOptions options = {network.batch, network.frames ? 32u : 1u, grucore::Nonfinite::kPropagate};
    expect(grucore::plan_stream(model_, options, &plan));
    state_ = std::make_unique<Memory>(plan.bytes);
    expect(grucore::init_stream(model_, options, state_->data(), plan.bytes, &stream_));
  }
  void reset() override { grucore::reset(stream_); }
  void step(const float* x, float* y) override {
    const void* inputs[] = {x};
    void* outputs[] = {y};
    (void)grucore::step(stream_, inputs, outputs);
  }
  void run(const float* x, float* y) override {
    reset();
    const size_t batch = network_.batch, inputs = network_.input_size, hidden = network_.hidden_size;
    const grucore::ConstSignal in = {x, inputs, batch * inputs};
    const grucore::Signal out = {y, hidden, batch * hidden};
    grucore::run(stream_, network_.frames, &in, &out, nullptr);
  }

 private:
  YardstickNetwork network_;
  Memory file_;
  std::unique_ptr<Memory> arena_, state_;
  const grucore::Model* model_ = nullptr;
  grucore::Stream* stream_ = nullptr;
};

}  // namespace

std::unique_ptr<yardstick::Contender> yardstick::make(const YardstickNetwork& network) {
  return std::make_unique<Engine>(network);
}
