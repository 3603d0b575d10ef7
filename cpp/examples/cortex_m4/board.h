// The functions that the example needs from its board.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_EXAMPLES_CORTEX_M4_BOARD_H_
#define GRUCORE_EXAMPLES_CORTEX_M4_BOARD_H_

#include <stdint.h>

void print(const char* text);
void print(uint32_t number);
[[noreturn]] void finish(int status);
uint32_t stack_bytes_used();  // the deepest so far

// Ticks of the processor's clock from the first call to the second, below 2^24. QEMU's clock is the number of
// instructions with -icount shift=0: kInstructionsIn1000Ticks of them.
void start_ticks();
uint32_t ticks();
#if defined(GRUCORE_BOARD_AN547)
constexpr uint32_t kInstructionsIn1000Ticks = 31250;  // 32 MHz
#else
constexpr uint32_t kInstructionsIn1000Ticks = 40000;  // 25 MHz
#endif
// Takes 2 * `turns` instructions.
void loop(uint32_t turns);

#endif  // GRUCORE_EXAMPLES_CORTEX_M4_BOARD_H_
