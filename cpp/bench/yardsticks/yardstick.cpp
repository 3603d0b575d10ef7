// The C interface over a contender: linked into each of them.
// SPDX-License-Identifier: Apache-2.0
#include "yardstick.h"

#include <exception>

using yardstick::Contender;

void* yardstick_make(const YardstickNetwork* network, char* why, size_t room) {
  try {
    std::unique_ptr<Contender> made = yardstick::make(*network);
    made->input_size = network->input_size;
    made->reset();
    return made.release();
  } catch (const std::exception& error) {
    snprintf(why, room, "%s", error.what());
    return nullptr;
  }
}

void yardstick_free(void* self) { delete static_cast<Contender*>(self); }

void yardstick_reset(void* self) { static_cast<Contender*>(self)->reset(); }

void yardstick_steps(void* self, const float* x, uint32_t frames, uint32_t count, float* y) {
  Contender& contender = *static_cast<Contender*>(self);
  for (uint32_t i = 0, frame = 0; i < count; ++i) {
    contender.step(x + size_t{frame} * contender.input_size, y);
    if (++frame == frames) frame = 0;
  }
}

void yardstick_run(void* self, const float* x, float* y) { static_cast<Contender*>(self)->run(x, y); }
