// What the example needs from its board.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_EXAMPLES_CORTEX_M4_BOARD_H_
#define GRUCORE_EXAMPLES_CORTEX_M4_BOARD_H_

#include <stdint.h>

void print(const char* text);
void print(uint32_t number);
[[noreturn]] void finish(int status);
uint32_t stack_bytes_used();  // the deepest so far

#endif  // GRUCORE_EXAMPLES_CORTEX_M4_BOARD_H_
