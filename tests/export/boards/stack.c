/* SPDX-License-Identifier: Apache-2.0
   The deepest stack of a board without an operating system: painted at the start, looked at in the end. */
#include "board.h"

extern uint32_t stack_bottom[], stack_top[];

#define PAINT 0xc0ffee00u

void paint_stack(const uint32_t *end) {
  volatile uint32_t *at;
  for (at = stack_bottom; at < end - 16; ++at) *at = PAINT; /* this function may stand just below */
}

uint32_t stack_bytes_used(void) {
  const uint32_t *at = stack_bottom;
  while (at < stack_top && *at == PAINT) ++at;
  return (uint32_t)(stack_top - at) * 4u;
}
