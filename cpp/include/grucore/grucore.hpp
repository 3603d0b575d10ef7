// Owners for desktop C++: a model that holds its file and its memory, and a stream that holds its model. Header only.
// SPDX-License-Identifier: Apache-2.0
// The engine in grucore.h allocates nothing. These classes allocate when they are made and at no other time; step, run
// and reset only hand on. Without exceptions use SharedModel::make and OwnedStream::make, which return a Status.
#ifndef GRUCORE_GRUCORE_HPP_
#define GRUCORE_GRUCORE_HPP_

#include <cassert>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "grucore/grucore.h"

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define GRUCORE_EXCEPTIONS 1
#include <stdexcept>
#else
#define GRUCORE_EXCEPTIONS 0
#endif

namespace grucore {

// Memory aligned to kAlignment; empty where there was none to have.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  // So many bytes.
  explicit AlignedBytes(size_t count)
      : data_(static_cast<unsigned char*>(::operator new(count ? count : 1, kAlign, std::nothrow))),
        count_(data_ ? count : 0) {}

  // The first byte, or null, and how many there are.
  unsigned char* data() const { return data_.get(); }
  size_t size() const { return count_; }

 private:
  static constexpr std::align_val_t kAlign{kAlignment};
  struct Free {
    void operator()(unsigned char* data) const { ::operator delete(data, kAlign); }
  };
  std::unique_ptr<unsigned char, Free> data_;
  size_t count_ = 0;
};

#if GRUCORE_EXCEPTIONS
// A file or an argument that was refused; `report` says where in the file.
class Error : public std::runtime_error {
 public:
  // Its message has the status, its meaning, and the place.
  Error(Status status, const LoadReport& report)
      : std::runtime_error(std::string(status_name(status)) + ": " + status_meaning(status) + " (byte " +
                           std::to_string(report.offset) + ": found " + std::to_string(report.found) + ", expected " +
                           std::to_string(report.expected) + ")"),
        status_(status),
        report_(report) {}
  explicit Error(Status status)
      : std::runtime_error(std::string(status_name(status)) + ": " + status_meaning(status)), status_(status) {}

  // As plan_model, load, plan_stream or init_stream gave them.
  Status status() const { return status_; }
  const LoadReport& report() const { return report_; }

 private:
  Status status_;
  LoadReport report_;
};
#endif

// A loaded model with its memory. Copies share it; any number of threads may use it.
class SharedModel {
 public:
  SharedModel() = default;

  // Copies the file's bytes. `*model` is written only on kOk.
  static Status make(const void* file, size_t file_bytes, SharedModel* model, Isa isa = best_isa(),
                     LoadReport* report = nullptr) {
    AlignedBytes copy(file_bytes);
    if (!copy.data()) return Status::kTooLarge;
    if (file_bytes) std::memcpy(copy.data(), file, file_bytes);
    return make(std::move(copy), model, isa, report);
  }
  static Status make(AlignedBytes file, SharedModel* model, Isa isa = best_isa(), LoadReport* report = nullptr) {
    MemoryPlan plan;
    Status status = plan_model(file.data(), file.size(), &plan, report);
    if (status != Status::kOk) return status;
    auto parts = std::make_shared<Parts>();
    parts->file = std::move(file);
    parts->arena = AlignedBytes(plan.bytes);
    if (!parts->arena.data()) return Status::kTooLarge;
    status = grucore::load(parts->file.data(), parts->file.size(), isa, parts->arena.data(), plan.bytes, &parts->model,
                           report);
    if (status == Status::kOk) model->parts_ = std::move(parts);
    return status;
  }

#if GRUCORE_EXCEPTIONS
  // Throws std::runtime_error where the file cannot be read, Error where it is refused.
  static SharedModel load(const std::string& path, Isa isa = best_isa()) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
    long length = -1;
    if (file && std::fseek(file.get(), 0, SEEK_END) == 0) length = std::ftell(file.get());
    if (length < 0) throw std::runtime_error(path + ": cannot be read");
    std::rewind(file.get());
    AlignedBytes bytes(static_cast<size_t>(length));
    if (std::fread(bytes.data(), 1, bytes.size(), file.get()) != static_cast<size_t>(length)) {
      throw std::runtime_error(path + ": cannot be read");
    }
    return of(std::move(bytes), isa);
  }
  // Of a copy of these bytes.
  static SharedModel load(const void* file, size_t file_bytes, Isa isa = best_isa()) {
    AlignedBytes copy(file_bytes);
    if (!copy.data()) throw std::bad_alloc();
    if (file_bytes) std::memcpy(copy.data(), file, file_bytes);
    return of(std::move(copy), isa);
  }
#endif

  // For the functions of grucore.h; null, and false, where nothing is loaded.
  const Model* get() const { return parts_ ? parts_->model : nullptr; }
  explicit operator bool() const { return parts_ != nullptr; }

  // Numbers of a frame of an input, and of a value of an output.
  uint32_t input_features(uint32_t index = 0) const { return input_info(get(), index).features; }
  uint32_t output_features(uint32_t index = 0) const { return output_info(get(), index).features; }
  // The index of a state by its name, such as "gru.l0.h", or kNone.
  uint32_t find_state(const std::string& name) const {
    for (uint32_t i = 0; i < state_count(get()); ++i) {
      const StateInfo state = state_info(get(), i);
      if (std::string(state.node.bytes, state.node.length) + state.suffix == name) return i;
    }
    return kNone;
  }

 private:
  struct Parts {
    AlignedBytes file, arena;
    const Model* model = nullptr;
  };

#if GRUCORE_EXCEPTIONS
  static SharedModel of(AlignedBytes file, Isa isa) {
    SharedModel model;
    LoadReport report;
    const Status status = make(std::move(file), &model, isa, &report);
    if (status != Status::kOk) throw Error(status, report);
    return model;
  }
#endif

  std::shared_ptr<Parts> parts_;
};

// A stream with its memory, which keeps its model alive. One thread at a time; it may be moved, and copied by copy().
class OwnedStream {
 public:
  OwnedStream() = default;

  // `*stream` is written only on kOk.
  static Status make(const SharedModel& model, const StreamOptions& options, OwnedStream* stream) {
    MemoryPlan plan;
    const Status planned = plan_stream(model.get(), options, &plan);
    if (planned != Status::kOk) return planned;
    OwnedStream made;
    made.arena_ = AlignedBytes(plan.bytes);
    if (!made.arena_.data()) return Status::kTooLarge;
    made.model_ = model;
    made.options_ = options;
    const Status status = init_stream(model.get(), options, made.arena_.data(), plan.bytes, &made.stream_);
    if (status == Status::kOk) *stream = std::move(made);
    return status;
  }

#if GRUCORE_EXCEPTIONS
  // Throws Error.
  explicit OwnedStream(const SharedModel& model, const StreamOptions& options = StreamOptions()) {
    const Status status = make(model, options, this);
    if (status != Status::kOk) throw Error(status);
  }

  // A stream of its own that goes on from here.
  OwnedStream copy() const {
    OwnedStream other(model_, options_);
    copy_stream(stream_, other.stream_);
    return other;
  }
#endif

  // For the functions of grucore.h.
  Stream* get() const { return arena_.data() ? stream_ : nullptr; }  // null once it is moved from
  const SharedModel& model() const { return model_; }

  // One frame of every row of a model with one input and one output of floats; true where the output was written.
  bool step(const float* input, float* output) noexcept {
    assert(is_plain());
    const void* inputs[] = {input};
    void* outputs[] = {output};
    return grucore::step(stream_, inputs, outputs) != 0;
  }
  // inputs[i] and outputs[i] as in grucore.h; the mask of outputs written.
  uint64_t step(const void* const* inputs, void* const* outputs) noexcept {
    return grucore::step(stream_, inputs, outputs);
  }

  // `frames` frames of a stream of one row, one input and one output of floats: (frames, features) each, contiguous.
  // The output has output_frames(frames) of them.
  void run(const float* input, float* output, uint32_t frames) noexcept {
    assert(is_plain() && options_.batch == 1);
    const size_t in = model_.input_features(), out = model_.output_features();
    const ConstSignal source = {input, in * frames, in};
    const Signal target = {output, out * output_frames(frames), out};
    grucore::run(stream_, frames, &source, &target, nullptr);
  }
  // How many values of an output the next frames give.
  uint32_t output_frames(uint32_t frames, uint32_t output = 0, uint32_t row = 0) const noexcept {
    return grucore::output_frames(stream_, output, row, frames);
  }

  // Back to the initial state.
  void reset() noexcept { grucore::reset(stream_); }
  // kFlagNonfiniteInput and kFlagNonfiniteOutput since the last call.
  uint32_t take_flags() noexcept { return grucore::take_flags(stream_); }

  // A copy of a state of a row.
  std::vector<float> state(uint32_t index, uint32_t row = 0) const {
    std::vector<float> values(state_info(model_.get(), index).size);
    get_state(stream_, index, row, values.data());
    return values;
  }
  // `values` has as many floats as state(index).
  void set_state(uint32_t index, const float* values, uint32_t row = 0) noexcept {
    grucore::set_state(stream_, index, row, values);
  }

 private:
  bool is_plain() const noexcept {
    const Model* model = model_.get();
    return input_count(model) == 1 && output_count(model) == 1 && input_info(model, 0).dtype == Dtype::kFloat32;
  }

  SharedModel model_;
  StreamOptions options_;
  AlignedBytes arena_;
  Stream* stream_ = nullptr;
};

}  // namespace grucore

#endif  // GRUCORE_GRUCORE_HPP_
