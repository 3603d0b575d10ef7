// Fuzz target: any bytes, as they are and with a right length and checksum, are refused or make a model that
// can be stepped and run.
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "grucore/grucore.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

namespace {

constexpr size_t kMostMemory = size_t{1} << 26;  // a model may ask for more; that is for its user to refuse
constexpr uint32_t kFrames = 3, kBatch = 2;

// Exactly as large as asked for, so that the sanitizer sees the first byte beyond.
class Memory {
 public:
  explicit Memory(size_t size) : size_(size) {
    if (posix_memalign(&at_, grucore::kAlignment, size ? size : 1) != 0) abort();
  }
  ~Memory() { free(at_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void* at() const { return at_; }
  size_t size() const { return size_; }

 private:
  void* at_ = nullptr;
  size_t size_;
};

uint32_t crc32c(const unsigned char* bytes, size_t count) {
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < count; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

void require(bool condition) {
  if (!condition) abort();
}

// Buffers of the inputs and outputs of kBatch rows, kFrames frames each.
size_t floats_of(const grucore::Model* model) {
  size_t floats = 0;
  for (uint32_t i = 0; i < grucore::input_count(model); ++i) floats += grucore::input_info(model, i).features;
  for (uint32_t i = 0; i < grucore::output_count(model); ++i) floats += grucore::output_info(model, i).features;
  return floats * kBatch * kFrames;
}

// True if an output has no value at the first frame.
bool is_late(const grucore::Model* model) {
  for (uint32_t i = 0; i < grucore::output_count(model); ++i) {
    if (grucore::output_info(model, i).skip > 0) return true;
  }
  return false;
}

void use(const grucore::Model* model, bool hold) {
  const grucore::StreamOptions options = {kBatch, kFrames,
                                          hold ? grucore::Nonfinite::kHold : grucore::Nonfinite::kPropagate};
  grucore::MemoryPlan plan;
  if (grucore::plan_stream(model, options, &plan) != grucore::Status::kOk || plan.bytes > kMostMemory) return;
  const size_t floats = floats_of(model);
  if (floats > kMostMemory / sizeof(float)) return;
  const Memory arena(plan.bytes), signals(floats * sizeof(float));
  grucore::Stream* stream = nullptr;
  require(grucore::init_stream(model, options, arena.at(), arena.size(), &stream) == grucore::Status::kOk);

  grucore::ConstSignal inputs[64];
  grucore::Signal outputs[64];
  const void* step_inputs[64];
  void* step_outputs[64];
  float* next = static_cast<float*>(signals.at());
  for (size_t i = 0; i < floats; ++i) next[i] = static_cast<float>(i % 7) - 3.0f;
  for (uint32_t i = 0; i < grucore::input_count(model); ++i) {
    const size_t features = grucore::input_info(model, i).features;
    inputs[i] = {next, kFrames * features, features};
    step_inputs[i] = next;
    next += features * kBatch * kFrames;
  }
  for (uint32_t i = 0; i < grucore::output_count(model); ++i) {
    const size_t features = grucore::output_info(model, i).features;
    outputs[i] = {next, kFrames * features, features};
    step_outputs[i] = next;
    next += features * kBatch * kFrames;
  }
  const uint32_t lengths[kBatch] = {kFrames, 1}, row = 1;
  const uint64_t written = grucore::step(stream, step_inputs, step_outputs);
  require(grucore::first_unstreamable_node(model) == grucore::kNone ? written != 0 || is_late(model) : written == 0);
  (void)grucore::step_rows(stream, step_inputs, step_outputs, &row, 1);
  grucore::run(stream, kFrames, inputs, outputs, nullptr);
  grucore::run(stream, kFrames, inputs, outputs, lengths);
  grucore::reset_rows(stream, &row, 1);
  for (uint32_t i = 0; i < grucore::state_count(model); ++i) {
    const Memory state(grucore::state_info(model, i).size * sizeof(float));
    grucore::get_state(stream, i, 0, static_cast<float*>(state.at()));
    grucore::set_state(stream, i, 1, static_cast<float*>(state.at()));
  }
  grucore::reset(stream);
}

void load(const Memory& file) {
  grucore::MemoryPlan plan;
  grucore::LoadReport report;
  if (grucore::plan_model(file.at(), file.size(), &plan, &report) != grucore::Status::kOk) return;
  require(plan.bytes <= kMostMemory);
  const Memory arena(plan.bytes);
  const grucore::Model* model = nullptr;
  const grucore::Status status =
      grucore::load(file.at(), file.size(), grucore::best_isa(), arena.at(), arena.size(), &model, &report);
  require((status == grucore::Status::kOk) == (model != nullptr));
  if (!model) {
    require(report.status == status);
    return;
  }
  use(model, false);
  use(model, true);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const Memory file(size);
  if (size > 0) memcpy(file.at(), bytes, size);
  load(file);
  if (size < 64) return 0;
  // A length and a checksum that are right, or nothing would ever get past them.
  unsigned char* at = static_cast<unsigned char*>(file.at());
  for (size_t i = 0; i < 8; ++i) at[16 + i] = static_cast<unsigned char>(uint64_t{size} >> (8 * i));
  memset(at + 12, 0, 4);
  const uint32_t crc = crc32c(at, size);
  for (size_t i = 0; i < 4; ++i) at[12 + i] = static_cast<unsigned char>(crc >> (8 * i));
  load(file);
  return 0;
}
