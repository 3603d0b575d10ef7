/* SPDX-License-Identifier: Apache-2.0
   The services of an emulated board to a program: text, an exit, instructions so far, the deepest stack. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

void print(const char *text);
void print_number(uint32_t number);
void finish(int status);
/* Instructions since some start, where the emulator runs with -icount shift=0. */
uint64_t instructions(void);
/* So many instructions, for calibration. */
void spend(uint32_t thousands);
uint32_t stack_bytes_used(void);
int main(void);

#endif
