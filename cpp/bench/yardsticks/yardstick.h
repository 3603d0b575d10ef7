// The contenders beside which the engine is timed in C++: one C interface, a shared library for each, the engine's too.
// benchmarks/peers/yardsticks.py loads them and takes turns.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_BENCH_YARDSTICK_H_
#define GRUCORE_BENCH_YARDSTICK_H_

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define YARDSTICK_API __attribute__((visibility("default")))
#else
#define YARDSTICK_API __declspec(dllexport)
#endif

#ifdef __cplusplus
extern "C" {
#endif

// A GRU of PyTorch's equations; `reset_before`: with r * h before the product and no bias there.
typedef struct YardstickNetwork {
  uint32_t input_size, hidden_size, layers, frames, batch;  // frames: of a sequence; 0 where frames come one by one
  uint32_t reset_before;
  // For each layer weight_ih (3 * hidden, inputs), weight_hh (3 * hidden, hidden), bias_ih, bias_hh, gates r, z, n.
  const float* const* tensors;
  // The same network as a file, and the name of an instruction set or "": what the engine takes.
  const void* file;
  size_t file_bytes;
  const char* isa;
  const char* weights;  // "float32", "bfloat16", "int8"
} YardstickNetwork;

// Null where it cannot, with the reason in `why`.
YARDSTICK_API void* yardstick_make(const YardstickNetwork* network, char* why, size_t room);
YARDSTICK_API void yardstick_free(void* self);
YARDSTICK_API void yardstick_reset(void* self);
// `count` steps of one frame each, the state carried; step i takes frame i % frames of x, and y is the last output.
YARDSTICK_API void yardstick_steps(void* self, const float* x, uint32_t frames, uint32_t count, float* y);
// The network's frames from zeros: x (frames, batch, input_size), y (frames, batch, hidden_size).
YARDSTICK_API void yardstick_run(void* self, const float* x, float* y);

#ifdef __cplusplus
}

#include <stdio.h>

#include <memory>

namespace yardstick {

// A contender of one size. One virtual call a step: none of them can work ahead of the frame that it is given.
class Contender {
 public:
  virtual ~Contender() = default;
  virtual void reset() = 0;
  virtual void step(const float* x, float* y) = 0;
  virtual void run(const float* x, float* y) = 0;

  uint32_t input_size = 0;
};

std::unique_ptr<Contender> make(const YardstickNetwork& network);  // throws std::exception

// The tensors of one layer.
struct Layer {
  const float *weight_ih, *weight_hh, *bias_ih, *bias_hh;
  uint32_t inputs;
};
inline Layer layer_of(const YardstickNetwork& network, uint32_t i) {
  const float* const* at = network.tensors + 4 * i;
  return {at[0], at[1], at[2], at[3], i ? network.hidden_size : network.input_size};
}

}  // namespace yardstick
#endif

#endif  // GRUCORE_BENCH_YARDSTICK_H_
