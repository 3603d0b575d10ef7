// A loaded model and a stream with memory of their own, for tests.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_TESTS_HARNESS_H_
#define GRUCORE_TESTS_HARNESS_H_

#include <stdlib.h>
#include <string.h>

#include <memory>
#include <vector>

#include "check.h"
#include "file_builder.h"
#include "grucore/grucore.h"

namespace grucore_test {

using grucore::Isa;
using grucore::Status;
using grucore_test::finish;

// Exactly as many bytes as asked for, so that a sanitizer sees the first byte beyond.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t size) : size_(size) {
    if (posix_memalign(&memory_, 64, size ? size : 1) != 0) abort();
    memset(memory_, 0xa5, size);
  }
  explicit AlignedBytes(const Bytes& bytes) : AlignedBytes(bytes.size()) {
    if (!bytes.empty()) memcpy(memory_, bytes.data(), bytes.size());
  }
  ~AlignedBytes() { free(memory_); }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;
  void* data() const { return memory_; }
  size_t size() const { return size_; }

 private:
  void* memory_ = nullptr;
  size_t size_;
};

inline std::vector<Isa> supported_isas() {
  std::vector<Isa> isas;
  for (uint32_t i = 0; i < grucore::kIsaCount; ++i) {
    if (grucore::isa_supported(static_cast<Isa>(i))) isas.push_back(static_cast<Isa>(i));
  }
  return isas;
}

class LoadedModel {
 public:
  LoadedModel(const Bytes& file, Isa isa) : file_(file) {
    grucore::MemoryPlan plan;
    status_ = grucore::plan_model(file_.data(), file_.size(), &plan, &report_);
    if (status_ != Status::kOk) return;
    arena_ = std::make_unique<AlignedBytes>(plan.bytes);
    status_ = grucore::load(file_.data(), file_.size(), isa, arena_->data(), arena_->size(), &model_, &report_);
  }
  Status status() const { return status_; }
  const grucore::LoadReport& report() const { return report_; }
  const grucore::Model* get() const { return model_; }

 private:
  AlignedBytes file_;
  std::unique_ptr<AlignedBytes> arena_;
  const grucore::Model* model_ = nullptr;
  grucore::LoadReport report_;
  Status status_ = Status::kOk;
};

class OwnedStream {
 public:
  OwnedStream(const LoadedModel& model, uint32_t batch, uint32_t block,
              grucore::Nonfinite nonfinite = grucore::Nonfinite::kPropagate) {
    const grucore::StreamOptions options = {batch, block, nonfinite};
    grucore::MemoryPlan plan;
    CHECK(grucore::plan_stream(model.get(), options, &plan) == Status::kOk);
    arena_ = std::make_unique<AlignedBytes>(plan.bytes);
    CHECK(grucore::init_stream(model.get(), options, arena_->data(), arena_->size(), &stream_) == Status::kOk);
  }
  grucore::Stream* get() const { return stream_; }

 private:
  std::unique_ptr<AlignedBytes> arena_;
  grucore::Stream* stream_ = nullptr;
};

// x: (batch, frames, features) -> y: (batch, frames, outputs) or (batch, outputs).
inline std::vector<float> run_all(const LoadedModel& model, uint32_t batch, uint32_t block, uint32_t frames,
                                  const std::vector<float>& x, const uint32_t* lengths = nullptr) {
  const uint32_t in = grucore::input_info(model.get(), 0).features;
  const grucore::PortInfo out = grucore::output_info(model.get(), 0);
  const bool per_frame = out.rate == grucore::Rate::kFrame;
  OwnedStream stream(model, batch, block);
  std::vector<float> y(size_t{batch} * (per_frame ? frames : 1) * out.features, -7.0f);
  const grucore::ConstSignal input = {x.data(), size_t{frames} * in, in};
  const grucore::Signal output = {y.data(), (per_frame ? frames : 1) * size_t{out.features}, out.features};
  grucore::run(stream.get(), frames, &input, &output, lengths);
  return y;
}

// The same for one row, frame by frame; for an output per sequence, the answer after the last frame.
inline std::vector<float> step_all(const LoadedModel& model, uint32_t frames, const float* x) {
  const uint32_t in = grucore::input_info(model.get(), 0).features;
  const grucore::PortInfo out = grucore::output_info(model.get(), 0);
  const bool per_frame = out.rate == grucore::Rate::kFrame;
  OwnedStream stream(model, 1, 1);
  std::vector<float> y((per_frame ? frames : 1) * size_t{out.features}, -7.0f);
  for (uint32_t t = 0; t < frames; ++t) {
    const void* input = x + size_t{t} * in;
    void* output = y.data() + (per_frame ? size_t{t} * out.features : 0);
    CHECK(grucore::step(stream.get(), &input, &output) == 1);
  }
  return y;
}

inline bool same_bits(const float* a, const float* b, size_t count) { return memcmp(a, b, count * sizeof(float)) == 0; }

}  // namespace grucore_test

#endif  // GRUCORE_TESTS_HARNESS_H_
