// The wait of a step, whatever its weights: the chains of a cell.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_BENCH_CHAINS_H_
#define GRUCORE_BENCH_CHAINS_H_

#include <algorithm>
#include <chrono>

namespace grucore_bench {

// Nanoseconds, the least of many rounds.
struct Chains {
  int lanes;
  // Each after the one before.
  double multiply_add, store_and_load, sigmoid, tanh, cell;
  // Cells of one vector of units, of several that do not depend on each other: by themselves, two and four in step.
  double one, two, four;
};

Chains chains_avx2();
Chains chains_avx512();

// The least time of one of `work(repeats)`.
template <class Work>
double least_of(const Work& work) {
  constexpr int kRounds = 60, kRepeats = 20000;
  double least = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    work(kRepeats);
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    least = std::min(least, took.count() / kRepeats);
  }
  return least;
}

}  // namespace grucore_bench

#endif  // GRUCORE_BENCH_CHAINS_H_
