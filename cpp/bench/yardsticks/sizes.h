// Contenders whose sizes are known when they are compiled: those of benchmarks/common/workloads.py.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_BENCH_YARDSTICK_SIZES_H_
#define GRUCORE_BENCH_YARDSTICK_SIZES_H_

#include <stdexcept>
#include <string>

#include "yardstick.h"

namespace yardstick {

// Of<inputs, hidden, layers> for the network's size.
template <template <int, int, int> class Of>
std::unique_ptr<Contender> make_of_size(const YardstickNetwork& network) {
#define YARDSTICK_SIZE(inputs, hidden, deep)                                                           \
  if (network.input_size == (inputs) && network.hidden_size == (hidden) && network.layers == (deep)) { \
    return std::make_unique<Of<inputs, hidden, deep>>(network);                                        \
  }
  YARDSTICK_SIZE(1, 16, 1)
  YARDSTICK_SIZE(24, 24, 1)
  YARDSTICK_SIZE(1, 40, 1)
  YARDSTICK_SIZE(40, 64, 1)
  YARDSTICK_SIZE(128, 128, 1)
  YARDSTICK_SIZE(256, 256, 1)
  YARDSTICK_SIZE(384, 384, 1)
  YARDSTICK_SIZE(400, 400, 2)
  YARDSTICK_SIZE(512, 1024, 1)
#undef YARDSTICK_SIZE
  throw std::invalid_argument("not compiled for " + std::to_string(network.input_size) + " -> " +
                              std::to_string(network.hidden_size) + " (cpp/bench/yardsticks/sizes.h)");
}

inline void expect_plain(const YardstickNetwork& network) {
  if (std::string(network.weights) != "float32") throw std::invalid_argument("float32 alone");
  if (network.reset_before) throw std::invalid_argument("the reset-after cell alone");
}

}  // namespace yardstick

#endif  // GRUCORE_BENCH_YARDSTICK_SIZES_H_
